"""`snippets/openrpc.json`, the description of the RPC: read, and held to its metaschema and to itself.

What it says about the mock's code is compared with that code in tests/test_reference.py.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from handbook import facts
from handbook.pages import examples
from handbook.problem import Problem

PATH = facts.SNIPPETS / "openrpc.json"
Method = dict[str, Any]


def load(path: Path = PATH) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@cache
def methods() -> dict[str, Method]:
    """The method objects by name."""
    return {method["name"]: method for method in load()["methods"]}


def named(method: str) -> str:
    """The name under which a method is described, if it has been called by an alias."""
    return next((name for name, one in methods().items() if method in one.get("x-alias", {}).get("names", ())), method)


@cache
def general_errors() -> tuple[dict[str, Any], ...]:
    """Those that any call may get."""
    return tuple(load()["x-errors"])


def check(document: dict[str, Any] | None = None) -> list[Problem]:
    """What breaks the metaschema, and what a schema cannot say."""
    document = load() if document is None else document
    if error := next(examples.validator("openrpc").iter_errors(document), None):
        return [_problem(f"breaks its metaschema at {'/'.join(map(str, error.path))}: {error.message}")]
    names = [method["name"] for method in document["methods"]]
    found = []
    if names != sorted(set(names)):
        found.append(_problem("methods are not in order of their names, each once"))
    used = {member for member in _members(document) if member.startswith("x-")} - {"x-legend"}
    if differ := used ^ set(document["x-legend"]):
        found.append(_problem(f"x-legend and the x- members that are used differ in {', '.join(sorted(differ))}"))
    for method in document["methods"]:
        found += [_problem(f"{method['name']}: {what}") for what in _wrong(method)]
    return found


def _wrong(method: Method) -> list[str]:
    found = []
    codes = list(dict.fromkeys(error["code"] for error in method["x-errors"]))
    first = {error["code"]: error["message"] for error in reversed(method["x-errors"])}
    if [{"code": code, "message": first[code]} for code in codes] != method["errors"]:
        found.append("errors is not x-errors with each code once")
    names = [param["name"] for param in method["params"]]
    if len(names) != len(set(names)):
        found.append("a param is described twice")
    required = [param["required"] for param in method["params"]]
    if required != sorted(required, reverse=True):
        found.append("a required param stands after an optional one")
    for param in method["params"]:
        schema = param["schema"]
        if "default" in schema and not jsonschema.Draft202012Validator(schema).is_valid(schema["default"]):
            found.append(f"param {param['name']}: its default breaks its schema")
        if "default" in schema and param["required"]:
            found.append(f"param {param['name']}: required, and has a default")
    if method["x-role"] == "admin" and -32601 not in first:
        found.append("needs the admin token and does not declare -32601")
    return found


def _members(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_members, value.values()))
    return set().union(*map(_members, value)) if isinstance(value, list) else set()


def _problem(what: str) -> Problem:
    return Problem("snippets/openrpc.json", what)
