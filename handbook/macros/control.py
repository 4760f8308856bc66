"""The mock node's control listener as tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import Any

import msgspec

from handbook import refusals
from handbook.macros import MacroError, cell
from handbook.node import faults
from handbook.node.control import METHODS
from handbook.node.deviations import SWITCHES
from handbook.node.members import MEMBERS
from handbook.node.miner import MODES
from handbook.node.results import RESULTS, Net, Status

HOMES: dict[type, str] = {Net: "mock.peers", Status: "mock.status"}
"""Where a result that several calls share is drawn."""


def control_methods() -> str:
    """Every `mock.*` call with what its docstring says first, linked to its section."""
    rows = ["| call | what it does |", "|---|---|"]
    for name, handler in METHODS.items():
        rows.append(f"| [`{name}`](#{slug(name)}) | {cell(_said(handler)[0])} |")
    return "\n".join(rows)


def control_call(name: str) -> str:
    """One call: what it does, its params, its result, what it refuses."""
    if name not in METHODS:
        raise MacroError(f"no call {name!r}", f"one of {', '.join(METHODS)}")
    said, rest = _said(METHODS[name])
    parts = [said, rest, _params(name), _result(name), _refusals(name)]
    return "\n\n".join(part for part in parts if part)


def slug(name: str) -> str:
    """The anchor of a call's section."""
    return name.replace(".", "-")


def _said(handler: Callable[..., Any]) -> tuple[str, str]:
    first, _, rest = cleandoc(handler.__doc__ or "").partition("\n\n")
    return " ".join(first.split()), " ".join(rest.split())


def _params(name: str) -> str:
    members = MEMBERS.get(name, {})
    if not members:
        return "Takes no params."
    rows = ["| param | what fits |", "|---|---|"]
    for param, member in members.items():
        needed = ", required" if member.required else ""
        rows.append(f"| `{param}` | {cell(_shortened(member.expected))}{needed} |")
    return "\n".join(rows)


def _result(name: str) -> str:
    home = HOMES.get(RESULTS[name], name)
    if home != name:
        return f"Answers as [`{home}`](#{slug(home)}) does."
    rows = ["| result | type | what it is |", "|---|---|---|"]
    schema = msgspec.json.schema(RESULTS[name])
    rows += [f"| `{path}` | {kind} | {cell(what)} |" for path, kind, what in _members(schema, schema["$defs"], "")]
    return "\n".join(rows)


def _members(schema: dict[str, Any], known: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Path, type and description of every member, those of inner objects below their own."""
    schema = _followed(schema, known)
    for name, found in schema.get("properties", {}).items():
        member = next((one for one in found.get("anyOf", ()) if one.get("type") != "null"), found)
        inner = _followed(member, known)
        of = _followed(inner.get("items", {}), known) if inner.get("type") == "array" else inner
        where = f"{path}{name}"
        kind = _kind(found, known) + ("" if name in schema.get("required", ()) else ", or left out")
        yield where, kind, found.get("description") or of.get("description", "").partition("\n")[0]
        if "properties" in of:
            yield from _members(of, known, f"{where}[]." if of is not inner else f"{where}.")


def _followed(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = known[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _kind(schema: dict[str, Any], known: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one, known) for one in schema["anyOf"])
    kind = _followed(schema, known).get("type", "anything")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_kind(schema['items'], known)}s"
    return str(kind)


def _refusals(name: str) -> str:
    rows = ["| refused with -32602 | because |", "|---|---|"]
    for refusal in refusals.load().get(name, ()):
        params = json.dumps(refusal["params"])
        before = [f"`{step['method']} {json.dumps(step['params'])}`" for step in refusal.get("before", ())]
        after = f", after {' and '.join(before)}" if before else ""
        rows.append(f"| `{cell(params)}`{cell(after)} | {cell(refusal['says'])} |")
    return "\n".join(rows)


def control_modes() -> str:
    """How chain time can pass."""
    return "\n".join(["| mode | what is mined |", "|---|---|", *(f"| `{m}` | {cell(w)} |" for m, w in MODES.items())])


def control_faults() -> str:
    """Every kind of fault, by sort, with what it takes."""
    sorts = {
        "on the wire, by rule": faults.WIRE,
        "in the executor: the process dies": faults.CRASH_POINTS,
        "at a commit": faults.COMMIT_POINTS | faults.STORAGE,
        "conditions": faults.CONDITIONS,
        "deviations of build 0ecc756a, until cleared": SWITCHES,
    }
    rows = ["| fault | what it does | takes |", "|---|---|---|"]
    for sort, kinds in sorts.items():
        rows.append(f"| **{sort}** | | |")
        for name, what in kinds.items():
            takes = ", ".join(f"`{one}`" for one in faults.TAKES.get(name, ()))
            rows.append(f"| `{name}` | {cell(what)} | {takes} |")
    return "\n".join(rows)


def _shortened(text: str) -> str:
    """A list of names that stands elsewhere on the page is not repeated."""
    return text if len(text) < 120 else "a name of the table below"
