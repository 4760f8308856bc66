"""The documented members of methods' results: every named member that the schema of a result leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from handbook import facts

Path = tuple[str, ...]
"""The way to a member from the result down; `*` is every item of a list."""


@dataclass(frozen=True)
class Field:
    """`volatile`: "" for a member that cases compare; "live" where it differs on a live node, "always" on any.

    `unproduced` says why no case holds it.
    """

    path: Path
    volatile: str = ""
    unproduced: str = ""

    def __str__(self) -> str:
        return ".".join(("result", *self.path))


@cache
def of_schema(reference: str) -> tuple[Field, ...]:
    """Those of a schema under its `$id`, in the order in which they stand there; the result itself is the first."""
    found: dict[Path, Field] = {}
    for field in _walk({"$ref": reference}, (), "", ""):
        known = found.setdefault(field.path, field)
        if known.unproduced and not field.unproduced:
            found[field.path] = field
    return tuple(found.values())


def places(value: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Where the path leads in a result: containers, and the keys in them. The empty path leads nowhere."""
    if not path:
        return
    head, rest = path[0], path[1:]
    if head == "*":
        keys: list[Any] = list(range(len(value))) if isinstance(value, list) else []
    else:
        keys = [head] if isinstance(value, dict) and head in value else []
    for key in keys:
        if rest:
            yield from places(value[key], rest)
        else:
            yield value, key


def _walk(schema: Any, path: Path, volatile: str, unproduced: str) -> Iterator[Field]:
    if not isinstance(schema, dict):
        return
    unproduced = schema.get("x-unproduced", unproduced)
    mark = schema.get("x-volatile")
    volatile = {True: "always", "live": "live", None: volatile}[mark]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(f"{facts.SITE_URL}schemas/").removesuffix(".json")
        yield from _walk(facts.schema(name), path, volatile, unproduced)
        return
    yield Field(path, volatile, unproduced)
    for branch in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _walk(branch, path, volatile, unproduced)
    for name, member in schema.get("properties", {}).items():
        yield from _walk(member, (*path, name), volatile, unproduced)
    yield from _walk(schema.get("items"), (*path, "*"), volatile, unproduced)
