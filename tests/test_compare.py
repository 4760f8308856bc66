"""JSON is compared member by member; the first difference is named by its path."""

from __future__ import annotations

import pytest

from handbook.pages.compare import difference


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "$.a: expected 1, got 2"),
        ({"a": 1}, {"b": 1}, "$.a: expected, but not there"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b: not expected, but there"),
        ([1, 2], [1], "$: expected 2 elements, got 1"),
        ([1, {"x": [3]}], [1, {"x": [4]}], "$[1].x[0]: expected 3, got 4"),
        (1, 1.0, "$: expected 1, got 1.0"),
        (True, 1, "$: expected true, got 1"),
        (None, 0, "$: expected null, got 0"),
        (18446744073709551615, 18446744073709551614, "$: expected 18446744073709551615, got 18446744073709551614"),
    ],
)
def test_exact(expected: object, got: object, said: str) -> None:
    assert difference(expected, got) == said


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        ({"pid": 1, "log": ["a"]}, {"pid": 2, "log": ["b", "c"]}, ""),
        ({"pid": 1}, {"pid": "2"}, '$.pid: expected 1, got "2"'),
        ({"pid": 1}, {"pib": 1}, "$.pid: expected, but not there"),
    ],
)
def test_shape(expected: object, got: object, said: str) -> None:
    assert difference(expected, got, exact=False) == said
