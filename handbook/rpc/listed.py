"""The cases that an entry of `snippets/deviations.yml` says a build fails: its member `cases`.

A list of `method/case-name`, in which `*` stands for anything; what begins with `!` is taken away again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from handbook import facts
from handbook.problem import Problem
from handbook.rpc import cases

FILE = "deviations.yml"
Entry = dict[str, Any]


def by_case(holds: Callable[[Entry], bool], ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each case, the ids of the entries that `holds` picks and that list it."""
    found: dict[str, tuple[str, ...]] = {}
    known = list(ids)
    for entry in filter(holds, facts.load(FILE)):
        for case in expanded(entry.get("cases", ()), known):
            found[case] = (*found.get(case, ()), entry["id"])
    return found


def of_build(build: str, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return by_case(lambda entry: build in entry["builds"], ids)


def expanded(patterns: Iterable[str], ids: Iterable[str]) -> list[str]:
    """The cases that a list stands for, in their order."""
    known, chosen = list(ids), set[str]()
    for pattern in patterns:
        matching = {one for one in known if fnmatchcase(one, pattern.lstrip("!"))}
        chosen = chosen - matching if pattern.startswith("!") else chosen | matching
    return [one for one in known if one in chosen]


def check() -> list[Problem]:
    """Patterns that stand for no case."""
    ids = [case.id for found in cases.load().values() for case in found]
    return [
        Problem(
            f"snippets/{FILE}", f"{entry['id']}: {pattern} stands for no case", "cases: METHOD/CASE, see snippets/rpc"
        )
        for entry in facts.load(FILE)
        for pattern in entry.get("cases", ())
        if not any(fnmatchcase(one, pattern.lstrip("!")) for one in ids)
    ]
