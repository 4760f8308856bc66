"""`snippets/errors.yml`: what each error that `snippets/openrpc.json` declares means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from handbook import document, facts
from handbook.problem import Problem
from handbook.rpc import cases, levels, reference
from handbook.rpc.cases import Case

PATH = facts.SNIPPETS / "errors.yml"
MEMBERS = ("code", "message", "meaning", "do")


@dataclass(frozen=True)
class Advice:
    """What an error means, and what to do: Markdown, one line each."""

    meaning: str
    do: str


@dataclass(frozen=True)
class Declared:
    """An error as the description declares it; `methods` is empty for one that any call may get."""

    code: int
    message: str
    methods: tuple[str, ...]
    uncaused: Mapping[str, str]
    """Why no case of a method causes it; "" stands for any method."""


def advice(code: int, message: str, method: str = "") -> Advice:
    """Raises Unreadable for an error that has no entry."""
    entry = _entries().get((code, message))
    if entry is None:
        raise document.Unreadable(Problem(document.shown(PATH), f"no entry for {code} {message}"))
    said = entry.get("methods", {}).get(method, entry)
    return Advice(said["meaning"], said["do"])


@cache
def declared() -> tuple[Declared, ...]:
    """Every code and message once, in order of code as operators read it (-32001 before -33009), then as declared."""
    found: dict[tuple[int, str], list[str]] = {}
    reasons: dict[tuple[int, str], dict[str, str]] = {}
    for method, entry in _all():
        key = entry["code"], entry["message"]
        found.setdefault(key, []).append(method)
        reasons.setdefault(key, {}).update({method: entry["uncaused"]} if "uncaused" in entry else {})
    ordered = sorted(found, key=lambda key: -key[0])
    return tuple(
        Declared(code, message, tuple(name for name in found[code, message] if name), reasons[code, message])
        for code, message in ordered
    )


def causes(code: int, message: str, method: str) -> Case | None:
    """The case of the method that gets this error after the fewest calls and is told in the fewest words."""
    fits = levels.pattern(message)
    found = [
        case
        for case in cases.load().get(method, [])
        if case.error_code == code and fits.fullmatch(case.answer["error"]["message"])
    ]
    return min(found, key=lambda case: (len(case.before), len(case.name), case.name), default=None)


def check(path: Path = PATH) -> tuple[list[Problem], int]:
    """Errors without an entry, entries without an error; and how many were looked at."""
    try:
        entries = document.read_entries(path, *MEMBERS)
    except document.Unreadable as error:
        return [error.problem], 0
    known = {(one.code, one.message): one for one in declared()}
    found, met = [], set()
    for position, entry in enumerate(entries.data):
        key, where = (entry["code"], entry["message"]), entries.where(position)
        told = f"{entry['code']} {entry['message']}"
        if key not in known:
            found.append(
                Problem(where, f"{told}: no method declares it", "declared are those of snippets/openrpc.json")
            )
        elif key in met:
            found.append(Problem(where, f"{told}: a second entry"))
        else:
            strangers = set(entry.get("methods", {})) - set(known[key].methods)
            found += [Problem(where, f"{told}: {name} does not declare it") for name in sorted(strangers)]
        met.add(key)
    missing = [f"{code} {message}" for code, message in known if (code, message) not in met]
    found += [Problem(entries.where(), f"no entry for {told}", "say what it means and what to do") for told in missing]
    return found, len(met)


@cache
def _entries() -> dict[tuple[int, str], dict[str, Any]]:
    entries = document.read_entries(PATH, *MEMBERS).data
    return {(entry["code"], entry["message"]): entry for entry in entries}


def _all() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each declared error with its method; "" for any."""
    for entry in reference.general_errors():
        yield "", entry
    for name, method in reference.methods().items():
        for entry in method["x-errors"]:
            yield name, entry
