"""A Prometheus over a past: every sample at its time, and the recorded series as a live one would have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook.monitoring.rules import Rule
from handbook.tuning import history
from handbook.tuning.history import History

START = 1_767_225_600


def rule(name: str, expr: str) -> Rule:
    return Rule(name, False, expr, {}, {}, "g", "x.yml:1", "x.yml:1")


DOUBLE, SUM, RATE = (
    rule("a:m:double", "2 * m"),
    rule("a:m:sum", "sum(a:m:double)"),
    rule("a:c:rate", "rate(c_total[5m])"),
)


def test_samples_and_recorded_series_come_back(tmp_path: Path) -> None:
    file = tmp_path / "past.om"
    lines = [f'm{{job="a\\"b"}} {minute} {START + 60 * minute}' for minute in range(120)]
    lines += [
        f"c_total {minute * 6 if minute < 60 else (minute - 60) * 6} {START + 60 * minute}" for minute in range(120)
    ]
    file.write_text("\n".join([*lines, "# EOF\n"]))
    past = History(file, [SUM, RATE, DOUBLE], START, START + 119 * 60)
    try:
        ((labels, samples),) = past.api.over("m", START, START + 119 * 60, 60).items()
        assert labels == (("__name__", "m"), ("job", 'a"b'))
        assert [value for _, value in samples] == list(range(120))
        assert past.api.now("a:m:sum", START + 600) == [((("__name__", "a:m:sum"),), 20.0)]
        rates = past.api.over("a:c:rate", START + 300, START + 119 * 60, 60)
        assert {round(value, 4) for _, value in rates[(("__name__", "a:c:rate"),)]} <= {0.1, 0.08}, "a reset is no drop"
    finally:
        past.stop()


def test_rules_are_recorded_after_those_they_rest_on() -> None:
    assert history.levels([SUM, RATE, DOUBLE]) == [[RATE, DOUBLE], [SUM]]
    with pytest.raises(ValueError, match="recording rules rest on each other: a:x:y, b:x:y"):
        history.levels([rule("a:x:y", "b:x:y"), rule("b:x:y", "a:x:y")])


def test_what_an_expression_rests_on_in_the_end() -> None:
    assert history.needed(["a:m:sum > up"], [SUM, RATE, DOUBLE]) == (frozenset({"up", "m"}), [SUM, DOUBLE])


def test_what_promtool_does_not_take_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.om").write_text("m 1 not-a-time\n# EOF\n")
    with pytest.raises(ValueError, match="promtool does not take"):
        History(tmp_path / "bad.om", [], START, START + 60)
