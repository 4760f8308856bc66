"""Members of a JSON Schema as rows: name, type, and what it may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handbook import facts
from handbook.macros import cell
from handbook.rpc.layout import as_json

U64, I64 = 2**64 - 1, 2**63 - 1
SHAPES = {
    "balance-snapshot": "TREASURY_RPC_ENDPOINTS.md#snapshot",
    "disbursement": "TREASURY_RPC_ENDPOINTS.md#disbursement-shape",
    "disbursement-entry": "TREASURY_RPC_ENDPOINTS.md#entry",
    "disbursement-status": "TREASURY_RPC_ENDPOINTS.md#status",
}
"""Schemas that a page describes, and where: their members are not listed again."""
UNITS = {
    "in BLOCK units": "BLOCK",
    "in kWh": "kWh",
    "Unix seconds": "Unix seconds",
    "an epoch number": "epoch",
    "block height": "block height",
}
"""Words at one end of a description that name the unit, where the schema has no `x-unit`."""
ALTERNATIVES = 2
"""A choice between more schemas than this is not listed member by member."""


@dataclass(frozen=True)
class Row:
    """A member. `name` is its path: `receipts[].meter_hash`; `type` and `limits` are Markdown."""

    name: str
    type: str
    required: bool
    default: str
    limits: str
    unit: str
    meaning: str


def rows(name: str, schema: dict[str, Any], required: bool = False) -> Iterator[Row]:
    """The member itself, then what is inside it; only that if `name` is empty, as for a whole result."""
    shape = _shape(schema)
    said = {**_target(schema), **{key: value for key, value in schema.items() if key not in ("$ref", "oneOf")}}
    options = [one for one in _options(schema) if one.get("type") != "null"]
    inside = options[0] if len(options) == 1 else said
    if name:
        unit, meaning = _parted(said)
        yield Row(
            name=name,
            type=_type(schema),
            required=required,
            default=f"`{as_json(said['default'])}`" if "default" in said else "",
            limits=_limits(said),
            unit=unit,
            meaning=cell(meaning),
        )
    if shape in SHAPES or len(options) > ALTERNATIVES:
        return
    inside = _target(inside)
    if "items" in inside:
        item = inside["items"]
        if _shape(item) not in SHAPES and ("properties" in _target(item)):
            yield from _inside(f"{name}[]", _target(item))
    yield from _inside(name, inside)


def _inside(name: str, schema: dict[str, Any]) -> Iterator[Row]:
    for member, inner in schema.get("properties", {}).items():
        yield from rows(f"{name}.{member}" if name else member, inner, member in schema.get("required", ()))


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    target = _target(schema)
    found: list[dict[str, Any]] = target.get("oneOf") or target.get("anyOf") or [target]
    return [_target(one) if _shape(one) not in SHAPES else one for one in found]


def _target(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to."""
    return facts.schema(schema_name(schema["$ref"])) if "$ref" in schema else schema


def schema_name(reference: str) -> str:
    return reference.removeprefix(f"{facts.SITE_URL}schemas/").removesuffix(".json")


def _shape(schema: dict[str, Any]) -> str:
    for one in (schema, *schema.get("oneOf", ())):
        if "$ref" in one:
            return schema_name(one["$ref"])
    return ""


def _type(schema: dict[str, Any]) -> str:
    shape = _shape(schema)
    null = " or null" if any(one.get("type") == "null" for one in schema.get("oneOf", ())) else ""
    if shape in SHAPES:
        return f"[{facts.schema(shape)['title'].lower()}]({SHAPES[shape]}){null}"
    target = _target(schema)
    if "const" in target:
        return f"`{as_json(target['const'])}`"
    options = [one for one in _options(schema) if one.get("type") != "null"]
    if "type" not in target and len(options) == 1 and options[0] is not target:
        return f"{_type(options[0])}{null}"
    kinds = target.get("type", "string" if "enum" in target else "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    told = [_called(kind, target) for kind in kinds if kind != "null"]
    return " or ".join([*told, *(["null"] if "null" in kinds else [])]) + null


def _called(kind: str, schema: dict[str, Any]) -> str:
    if kind == "integer":
        bounds = (schema.get("minimum", -I64 - 1), schema.get("maximum", U64))
        return {(0, U64): "u64", (0, 2**32 - 1): "u32", (-I64 - 1, I64): "i64"}.get(bounds, "integer")
    if kind == "array":
        item = schema.get("items", {})
        return f"list of {_type(item)}" if item else "list"
    return kind


def _parted(schema: dict[str, Any]) -> tuple[str, str]:
    """Unit and meaning, which a description may hold both: `In kWh`, `When it was queued, Unix seconds`."""
    said = str(schema.get("description", ""))
    if "x-unit" in schema:
        return str(schema["x-unit"]), said
    for phrase, unit in UNITS.items():
        found = re.fullmatch(rf"(?:{phrase}(?:[;,] (?P<after>.+))?|(?P<before>.+), {phrase})", said, re.IGNORECASE)
        if found:
            rest = found["after"] or found["before"] or ""
            return unit, rest[:1].upper() + rest[1:]
    return "", said


def _limits(schema: dict[str, Any]) -> str:
    told = []
    if "enum" in schema:
        told.append("one of " + ", ".join(f"`{value}`" for value in schema["enum"] if value is not None))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and low not in (0, -I64 - 1) and high in (None, U64):
        told.append(f"{low} or more")
    elif high is not None and high not in (U64, I64, 2**32 - 1):
        told.append(f"{low} to {high:,}".replace(",", " "))
    if "x-clamp" in schema:
        told.append("moved into {} to {}".format(*schema["x-clamp"]))
    return cell("; ".join(told))
