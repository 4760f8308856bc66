"""Compares what a block printed with what the page shows."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any, NoReturn

from handbook.pages.page import Block

ABSENT = "absent"


def compare_output(block: Block, got: str) -> str:
    """What differs between an output block and `got`, beginning with `page:line:`; empty if nothing does.

    JSON is compared as JSON, member by member; `compare="shape"` on the fence looks at names and types only.
    """
    expected = block.text.rstrip("\n")
    if block.lang == "json":
        return _compare_json(block, expected, got)
    return "" if expected == got else f"{block.where}: the block above prints something else\n{_diff(expected, got)}"


def strict_json(text: str) -> Any:
    """Raises JSONDecodeError also for a name given twice, NaN and Infinity, which other parsers refuse."""
    return json.loads(text, object_pairs_hook=_members, parse_constant=_constant)


def _constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A reader sees both of two members with one name; a parser only the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise json.JSONDecodeError(f'the member "{name}" is there twice', "", 0)
        found[name] = value
    return found


def _compare_json(block: Block, expected: str, got: str) -> str:
    try:
        actual = json.loads(got)
    except json.JSONDecodeError:
        return f"{block.where}: expected JSON, got:\n{indent(got)}"
    try:
        wanted = strict_json(expected)
    except json.JSONDecodeError as error:
        return f"{block.page}:{block.body_line + error.lineno - 1}: not JSON: {error.msg}\n  got:\n{indent(got)}"
    found = difference(wanted, actual, exact=block.attrs.get("compare") != "shape")
    if not found:
        return ""
    return f"{block.where}: {found}\n" + _diff(_pretty(wanted), _pretty(actual))


@dataclass(frozen=True)
class Difference:
    """Where two JSON values part: a JSON path, what was expected there and what came."""

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        if self.got == ABSENT:
            return f"{self.path}: expected, but not there"
        if self.expected == ABSENT:
            return f"{self.path}: not expected, but there"
        return f"{self.path}: expected {self.expected}, got {self.got}"


def difference(expected: Any, got: Any, path: str = "$", exact: bool = True) -> str:
    """As `first_difference`, in words; empty if there is none."""
    return str(first_difference(expected, got, path, exact) or "")


def first_difference(expected: Any, got: Any, path: str = "$", exact: bool = True) -> Difference | None:
    """The first difference of two JSON values.

    With `exact=False` only member names and types count. 1 and 1.0 differ, True and 1 differ.
    """
    if type(expected) is not type(got):
        return Difference(path, json.dumps(expected), json.dumps(got))
    if isinstance(expected, dict):
        if missing := [key for key in expected if key not in got]:
            return Difference(f"{path}.{missing[0]}", json.dumps(expected[missing[0]]), ABSENT)
        if extra := [key for key in got if key not in expected]:
            return Difference(f"{path}.{extra[0]}", ABSENT, json.dumps(got[extra[0]]))
        for key, value in expected.items():
            if found := first_difference(value, got[key], f"{path}.{key}", exact):
                return found
        return None
    if isinstance(expected, list):
        if len(expected) != len(got) and (exact or not expected or not got):
            return Difference(path, f"{len(expected)} elements", str(len(got)))
        if not exact:  # every element of what was printed has the shape of one that is shown
            expected = [expected[min(index, len(expected) - 1)] for index in range(len(got))]
        for index, (left, right) in enumerate(zip(expected, got, strict=False)):
            if found := first_difference(left, right, f"{path}[{index}]", exact):
                return found
        return None
    if exact and expected != got:
        return Difference(path, json.dumps(expected), json.dumps(got))
    return None


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True)


def _diff(expected: str, got: str) -> str:
    lines = difflib.unified_diff(expected.splitlines(), got.splitlines(), "expected", "got", lineterm="", n=2)
    return "\n".join("  " + line for line in lines)


def indent(text: str) -> str:
    return "\n".join("    " + line for line in text.rstrip("\n").splitlines())
