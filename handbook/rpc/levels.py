"""How far an answer agrees with the one that a case expects.

    envelope  HTTP status and JSON-RPC envelope are right: the id, and one of result and error
    schema    a result fits the method's schema; an error is one that the method declares
    shape     names and types of members are those of the case; an error has its code
    exact     values too, but for the volatile ones; an error has its message

Each level holds those before it.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from handbook.node.contract import Contract
from handbook.pages.compare import ABSENT, Difference, first_difference
from handbook.rpc import fields, reference
from handbook.rpc.cases import Case

LEVELS = ("none", "envelope", "schema", "shape", "exact")
_VOLATILE = "<volatile>"


@dataclass(frozen=True)
class Answered:
    """What came back: HTTP status, and the body as JSON; None where no JSON came."""

    status: int
    body: Any


@dataclass(frozen=True)
class Judgement:
    """The highest level that holds, and what keeps the answer from the next; None at `exact`."""

    level: str
    difference: Difference | None = None

    def reaches(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)


def judge(case: Case, got: Answered, live: bool = False) -> Judgement:
    """On a `live` node, what differs from node to node is not compared: times, hashes, holders of leases."""
    checks = (_envelope, _schema, _shape, _exact)
    for level, check in zip(LEVELS, checks, strict=False):
        if found := check(case, got, live):
            return Judgement(level, found)
    return Judgement(LEVELS[-1])


def enough(case: Case, live: bool) -> str:
    """The level that an answer must reach: a live node has its own data, but no errors of its own."""
    return "schema" if live and case.error_code is None else "exact"


def pattern(message: str) -> re.Pattern[str]:
    """Of a declared message, in which {name} stands for a value."""
    return re.compile("(?:.*)".join(re.escape(part) for part in re.split(r"\{\w+\}", message)), re.DOTALL)


def declared(case: Case, error: dict[str, Any]) -> dict[str, Any] | None:
    """The entry of `x-errors`, of the method or of all methods, that describes the error."""
    method = reference.methods()[case.method]["x-errors"] if case.method in reference.methods() else []
    for entry in (*method, *reference.general_errors()):
        if entry["code"] == error["code"] and pattern(entry["message"]).fullmatch(error["message"]):
            found: dict[str, Any] = entry
            return found
    return None


def _envelope(case: Case, got: Answered, live: bool) -> Difference | None:
    if got.status != case.status:
        return Difference("HTTP status", str(case.status), str(got.status))
    body, expected = got.body, case.answer
    if not isinstance(body, dict):
        return Difference("$", "a JSON object", ABSENT if body is None else json.dumps(body))
    for name in ("id", "jsonrpc"):
        if found := first_difference(expected[name], body.get(name, ABSENT), f"$.{name}"):
            return found
    kinds = set(body) - {"id", "jsonrpc"}
    if kinds not in ({"result"}, {"error"}):
        return Difference("$", "one of result and error", ", ".join(sorted(kinds)) or ABSENT)
    if "error" in body and not _is_error(body["error"]):
        return Difference("$.error", "an integer code and a message", json.dumps(body["error"]))
    return None


def _is_error(error: Any) -> bool:
    return (
        isinstance(error, dict)
        and set(error) == {"code", "message"}
        and type(error["code"]) is int
        and type(error["message"]) is str
    )


def _schema(case: Case, got: Answered, live: bool) -> Difference | None:
    if ("result" in got.body) != ("result" in case.answer):
        return Difference("$", *(_told(answer) for answer in (case.answer, got.body)))
    if "error" in got.body:
        known = declared(case, got.body["error"])
        return None if known else Difference("$.error", "an error that is declared", _told(got.body))
    if case.method not in reference.methods():
        return None
    misfit = _contract().misfit(case.method, got.body["result"])
    if misfit is None:
        return None
    if not live and (nearer := _shape(case, got, live)):
        return nearer
    where, _, what = misfit.removeprefix(f"{case.method} result at ").partition(": ")
    path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in where.strip(".").split("/") if part)
    return Difference(f"$.result{path}", f"what fits its schema ({what})", json.dumps(_at(got.body["result"], where)))


def _shape(case: Case, got: Answered, live: bool) -> Difference | None:
    if "error" in got.body:
        return first_difference(case.answer["error"]["code"], got.body["error"]["code"], "$.error.code")
    return first_difference(case.answer["result"], got.body["result"], "$.result", exact=False)


def _exact(case: Case, got: Answered, live: bool) -> Difference | None:
    if "error" in got.body:
        return first_difference(case.answer["error"]["message"], got.body["error"]["message"], "$.error.message")
    expected, result = (masked(case.method, one["result"], live) for one in (case.answer, got.body))
    return first_difference(expected, result, "$.result")


def masked(method: str, result: Any, live: bool = False) -> Any:
    """The result without the values that are volatile on such a node."""
    result = copy.deepcopy(result)
    for field in volatile(method, live):
        if not field.path:
            return _VOLATILE
        for container, key in fields.places(result, field.path):
            container[key] = _VOLATILE
    return result


@cache
def volatile(method: str, live: bool) -> tuple[fields.Field, ...]:
    described = reference.methods().get(method)
    found = fields.of_schema(described["result"]["schema"]["$ref"]) if described else ()
    return tuple(field for field in found if field.volatile == "always" or (live and field.volatile))


def _at(value: Any, where: str) -> Any:
    for part in where.strip(".").split("/") if where.strip(".") else ():
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _told(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"error {answer['error']['code']} {answer['error']['message']}"
    return "a result"


@cache
def _contract() -> Contract:
    return Contract()
