"""A YAML or JSON file in which every value knows its line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from handbook import facts
from handbook.problem import Problem

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A tenth of the time where PyYAML has libyaml."""
Place = tuple[str | int, ...]
"""The way to a value: keys and positions from the top."""


class Unreadable(Exception):
    """The file cannot be parsed. `problem` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class Document:
    path: str
    """Relative to the checkout where it lies inside it."""
    data: Any
    lines: dict[Place, int] = field(repr=False)

    def where(self, *place: str | int) -> str:
        """`path:line` of the value, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.path}:{self.lines.get(place, 1)}"


def shown(file: Path) -> str:
    """The path as a message names it."""
    absolute = file.absolute()
    return str(absolute.relative_to(facts.ROOT)) if absolute.is_relative_to(facts.ROOT) else str(file)


def read(file: Path) -> Document:
    """By suffix: `.json` must be JSON, anything else is YAML. Raises Unreadable."""
    path = shown(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Unreadable(Problem(path, f"cannot be read: {reason}")) from None
    return Document(path, _json(path, text) if file.suffix == ".json" else _yaml(path, text), _lines(text))


def read_members(file: Path, **kinds: type) -> Document:
    """A mapping that has each named member, of the named type. Raises Unreadable."""
    document = read(file)
    if not isinstance(document.data, dict):
        raise Unreadable(Problem(document.where(), f"expected a mapping, found {_called(document.data)}"))
    for name, kind in kinds.items():
        if not isinstance(found := document.data.get(name), kind):
            expected = "a list" if kind is list else "a mapping"
            raise Unreadable(Problem(document.where(name), f"{name}: expected {expected}, found {_called(found)}"))
    return document


def read_entries(file: Path, *members: str) -> Document:
    """A list, not empty, of mappings that have each of the members. Raises Unreadable."""
    document = read(file)
    if not isinstance(document.data, list) or not document.data:
        raise Unreadable(Problem(document.where(), f"expected a list of entries, found {_called(document.data)}"))
    for position, entry in enumerate(document.data):
        if not isinstance(entry, dict):
            raise Unreadable(Problem(document.where(position), f"expected a mapping, found {_called(entry)}"))
        if missing := [name for name in members if name not in entry]:
            raise Unreadable(Problem(document.where(position), f"the entry has no {missing[0]}"))
    return document


def _called(value: Any) -> str:
    return "nothing" if value in (None, [], {}) else json.dumps(value, default=str)[:60]


def walk(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """The value and everything inside it, each with its place."""
    yield place, value
    if isinstance(value, dict):
        for key, one in value.items():
            yield from walk(one, (*place, key))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from walk(one, (*place, position))


def _json(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        comment = text.lstrip()[:2] in ("//", "/*", "# ")
        hint = "JSON has no comments: take the comment out" if comment else ""
        raise Unreadable(
            Problem(f"{path}:{error.lineno}", f"not JSON: {error.msg} (column {error.colno})", hint)
        ) from None


def _yaml(path: str, text: str) -> Any:
    """By libyaml where it is there; what it refuses is read once more, for the words of the other."""
    with contextlib.suppress(yaml.YAMLError):
        return yaml.load(text, Loader=LOADER)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        raise Unreadable(Problem(f"{path}:{mark.line + 1 if mark else 1}", f"not YAML: {reason}")) from None


def _lines(text: str) -> dict[Place, int]:
    """Line of each value. A mapping's value has the line of its key: that is where a reader looks."""
    lines: dict[Place, int] = {}

    def walk(node: yaml.Node, place: Place, line: int) -> None:
        lines.setdefault(place, line)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                walk(value, (*place, key.value), key.start_mark.line + 1)
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                walk(item, (*place, position), item.start_mark.line + 1)

    # JSON is a subset of YAML as far as lines go, but for tabs, which YAML forbids between values.
    root = yaml.compose(text.replace("\t", " "), Loader=LOADER)
    if root is not None:
        walk(root, (), root.start_mark.line + 1)
    return lines
