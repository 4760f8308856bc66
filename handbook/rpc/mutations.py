"""Do the cases notice when an answer changes? Every documented member of every method's result, and every error.

A mutation changes all answers of one method in one way; it is caught when a case of the method no longer holds. The
answers are those of the mock, changed in memory, so that a thousand mutations need one run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from handbook.rpc import fields, levels, reference
from handbook.rpc.fields import Field
from handbook.rpc.levels import Answered
from handbook.rpc.trial import Result

OF_MEMBERS = ("drop", "rename", "retype", "change")
OF_ITEMS = ("retype",)
OF_ERRORS = ("code", "message")


@dataclass(frozen=True)
class Mutation:
    """`what` is a documented member of the result, or a declared error: an entry of x-errors."""

    method: str
    what: Field | tuple[int, str]
    kind: str

    def __str__(self) -> str:
        what = self.what if isinstance(self.what, Field) else f"error {self.what[0]} {self.what[1]}"
        return f"{self.method}: {self.kind} {what}"


@dataclass(frozen=True)
class Score:
    """`survivors` were noticed by no case."""

    caught: int
    survivors: tuple[Mutation, ...]

    @property
    def total(self) -> int:
        return self.caught + len(self.survivors)

    def __str__(self) -> str:
        return f"{self.total} mutations: {self.caught} caught ({100 * self.caught / max(self.total, 1):.1f} %)"


def all_of(method: str) -> Iterator[Mutation]:
    """What the description gives to break. Left out: members that no node fills, errors that no case can cause."""
    described = reference.methods()[method]
    for field in fields.of_schema(described["result"]["schema"]["$ref"]):
        if field.unproduced or "x-no-success" in described:
            continue
        for kind in OF_ITEMS if not field.path or field.path[-1] == "*" else OF_MEMBERS:
            if kind != "change" or field.volatile != "always":
                yield Mutation(method, field, kind)
    for error in described["x-errors"]:
        if "uncaused" not in error:
            yield from (Mutation(method, (error["code"], error["message"]), kind) for kind in OF_ERRORS)


def score(results: Sequence[Result]) -> Score:
    """Of a run over all cases on mock nodes that passed."""
    caught, survivors = 0, []
    for method in reference.methods():
        of_method = [one for one in results if one.case.method == method and one.answered]
        for mutation in all_of(method):
            if is_caught(mutation, of_method):
                caught += 1
            else:
                survivors.append(mutation)
    return Score(caught, tuple(survivors))


def is_caught(mutation: Mutation, results: Iterable[Result]) -> bool:
    for one in results:
        assert one.answered
        body = mutated(mutation, one.answered.body)
        if body is not None and levels.judge(one.case, Answered(one.answered.status, body)).difference:
            return True
    return False


def mutated(mutation: Mutation, body: dict[str, Any]) -> dict[str, Any] | None:
    """The answer as a node with the mutation would give it; None if it would give the same."""
    if not isinstance(mutation.what, Field):
        return _other_error(mutation, body)
    if "result" not in body:
        return None
    changed = copy.deepcopy(body)
    found = change(changed["result"], mutation.what, mutation.kind)
    if not mutation.what.path:
        changed["result"], found = _other_type(changed["result"]), True
    return changed if found else None


def change(result: Any, field: Field, kind: str) -> bool:
    """Breaks the member wherever it stands in the result; false if it stands nowhere in it."""
    places = list(fields.places(result, field.path))
    for container, key in places:
        value = container[key]
        if kind == "drop":
            del container[key]
        elif kind == "rename":
            container[f"{key}_"] = container.pop(key)
        elif kind == "retype":
            container[key] = _other_type(value)
        else:
            container[key] = _other_value(value)
    return bool(places)


def _other_error(mutation: Mutation, body: dict[str, Any]) -> dict[str, Any] | None:
    assert not isinstance(mutation.what, Field)
    code, message = mutation.what
    error = body.get("error")
    if not error or error["code"] != code or not levels.pattern(message).fullmatch(error["message"]):
        return None
    changed = {"code": code - 1} if mutation.kind == "code" else {"message": f"{error['message']}."}
    return {**body, "error": {**error, **changed}}


def _other_type(value: Any) -> Any:
    if isinstance(value, str):
        return len(value)
    return 0 if value is None or isinstance(value, dict | list) else str(value)


def _other_value(value: Any) -> Any:
    """Of the same type, unless there is no other value of it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return value[:-1] if value else [None]
    return {} if value else {"x": None}
