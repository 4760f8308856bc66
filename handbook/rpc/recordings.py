"""Recorded calls as cases, and back: JSON lines of `scenario`, `method`, `params` (null: left out) and `answer`.

A scenario starts on a fresh node and its calls come in order; times are written `<time>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from handbook.problem import Problem
from handbook.rpc import cases, fields, levels, reference
from handbook.rpc.cases import BadCase, Case, Step

TIME = "<time>"
_NOW = cases.FRESH["clock"]


def read(file: Path) -> list[Case]:
    """One case per line: what stands before it in its scenario is called first. Raises BadCase."""
    found: list[Case] = []
    before: list[Step] = []
    scenario = ""
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            asked, answer = {"method": line["method"]}, _with_times(line["answer"])
            new = str(line["scenario"])
        except (ValueError, KeyError, TypeError) as error:
            expected = "a JSON object with scenario, method, params, answer"
            raise BadCase(
                Problem(f"{file}:{number}", f"no recorded call ({error!r})", f"expected {expected}")
            ) from None
        if line.get("params") is not None:
            asked["params"] = line["params"]
        if new != scenario:
            scenario, before = new, []
        found.append(_case(file, number, scenario, asked, tuple(before), answer))
        before.append(asked | ({"fails": answer["error"]["code"]} if "error" in answer else {}))
    return found


def lines(case: Case, calls: Iterable[tuple[Step, Any]]) -> Iterator[str]:
    """What was called for a case, in order, and the bodies of the answers."""
    for step, body in calls:
        answer = _without_times(step["method"], body)
        line = {"answer": answer, "method": step["method"], "params": step.get("params"), "scenario": case.id}
        yield json.dumps(line, sort_keys=True, ensure_ascii=False)


def _case(file: Path, number: int, scenario: str, asked: Step, before: tuple[Step, ...], answer: Any) -> Case:
    path = file.with_name(f"{file.name}:{number}")
    request = {"jsonrpc": "2.0", "id": 1, **asked}
    return Case(
        reference.named(asked["method"]), f"{scenario}, line {number}", path, "open", before, None, request, 200, answer
    )


def _with_times(value: Any) -> Any:
    """The clock of a fresh node in place of the times."""
    if value == TIME:
        return _NOW
    if isinstance(value, dict):
        return {name: _with_times(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_times(item) for item in value]
    return value.replace(TIME, str(_NOW)) if isinstance(value, str) else value


def _without_times(method: str, body: Any) -> Any:
    """Times where the schema knows them; in texts only that of a fresh mock node's clock."""
    text = json.dumps(body)
    body = json.loads(text)
    for field in levels.volatile(method, live=True) if isinstance(body, dict) and "result" in body else ():
        for container, key in fields.places(body["result"], field.path):
            if field.path[-1].endswith("_at") and type(container[key]) is int:
                container[key] = TIME
    return _stamped(body)


def _stamped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stamped(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_stamped(item) for item in value]
    return value.replace(str(_NOW), TIME) if isinstance(value, str) else value
