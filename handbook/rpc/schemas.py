"""`snippets/schemas/`: each is a sound schema under its published address, and its examples and defaults fit it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from handbook import document, facts
from handbook.problem import Problem

DIRECTORY = facts.SNIPPETS / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MARKS = ("x-volatile", "x-unproduced")
"""Members of ours, see `fields`: true or live, and why."""


def check(directory: Path = DIRECTORY) -> tuple[list[Problem], Counter[str]]:
    """What is wrong, and how much was looked at."""
    found, counts = [], Counter({"schemas": 0, "examples": 0})
    loaded = {}
    for file in sorted(directory.glob("*.json")):
        try:
            loaded[file] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            found.append(Problem(document.shown(file), f"not JSON: {error}"))
    registry: Registry[Any] = Registry().with_resources(
        [(str(one["$id"]), DRAFT202012.create_resource(one)) for one in loaded.values() if "$id" in one]
    )
    for file, schema in loaded.items():
        counts["schemas"] += 1
        for what in _wrong(file, schema, registry, counts):
            found.append(Problem(document.shown(file), what))
    return found, counts


def _wrong(file: Path, schema: dict[str, Any], registry: Registry[Any], counts: Counter[str]) -> Iterator[str]:
    for name, expected in (("$id", f"{facts.SITE_URL}schemas/{file.name}"), ("$schema", DIALECT)):
        if schema.get(name) != expected:
            yield f"{name}: expected {expected}, got {schema.get(name)}"
            return
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"no schema: {error.json_path}: {error.message}"
        return
    validator = jsonschema.Draft202012Validator(schema, registry=registry, format_checker=jsonschema.FormatChecker())
    for where, part in _parts(schema, "$"):
        for name, value in part.items():
            if name.startswith("x-") and not _known(name, value):
                yield f"{where}.{name}: expected one of {', '.join(MARKS)}, got {json.dumps({name: value})}"
        if (refers := part.get("$ref", DIALECT)) not in registry and refers[0] != "#" and refers != DIALECT:
            yield f"{where}.$ref: there is no schema {refers}"
            return
        held = part.get("examples", []) + ([part["default"]] if "default" in part else [])
        for value in held:
            counts["examples"] += 1
            if misfit := next(validator.evolve(schema=part).iter_errors(value), None):
                yield f"{where}: {json.dumps(value)[:80]} does not fit: {misfit.json_path}: {misfit.message}"


def _known(name: str, value: Any) -> bool:
    return value is True or value == "live" if name == "x-volatile" else name in MARKS and isinstance(value, str)


def _parts(value: Any, where: str, names: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema. Under `names` stand names that are given, not keywords."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _parts(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        if not names:
            yield where, value
        for name, member in value.items():
            if names or name not in ("examples", "default", "const", "enum"):
                given = not names and name in ("properties", "patternProperties", "$defs", "dependentSchemas")
                yield from _parts(member, f"{where}.{name}", given)
