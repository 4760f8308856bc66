"""Blocks that name a case, `case="METHOD/NAME"`: each finds the node in the state of its case, and must get its answer.

Every such block stands alone: its own shell or process, its own directory, a mock node set anew. So what a reader
copies from the page runs as it stands there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from handbook.pages.compare import indent, strict_json
from handbook.pages.page import Block
from handbook.rpc import cases, levels
from handbook.rpc.bench import prepare
from handbook.rpc.cases import Case
from handbook.rpc.levels import Answered
from handbook.rpc.starts import TOKENS, Started

Execute = Callable[[Block, Path, dict[str, str]], tuple[str, str]]
"""Runs a block in a directory, with variables: what went wrong, and what it printed."""
BEFORE = "before"
"""Class of a block that does what its case finds done."""
REQUEST = "request"
"""Class of a JSON block that is the request of its case."""


class Staging:
    """The nodes, each started when a case first asks for one of its kind."""

    def __init__(self) -> None:
        self._started: dict[str, Started] = {}

    def close(self) -> None:
        for started in self._started.values():
            started.__exit__()
        self._started.clear()

    def perform(self, block: Block, execute: Execute) -> tuple[str, str]:
        """Runs a bash or python block: what is wrong, empty if nothing is, and what it printed."""
        case = find(block)
        if case is None:
            return unknown(block), ""
        node = self._node(case.node)
        if BEFORE in block.classes:
            node.control.call("mock.reset", cases.FRESH)
        elif broken := prepare(case, node.caller, node.control, TOKENS).broken:
            return f"{block.where}: case {case.id}: {broken}", ""
        env = {f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()}
        env |= {"NODE": node.caller.url, "CONTROL": node.control.url}
        writes = _writes(node)
        with tempfile.TemporaryDirectory(prefix="handbook-case-") as directory:
            problem, output = execute(block, Path(directory), env)
        if problem:
            return problem, output
        if block.effect == "read" and _writes(node) != writes:
            return f'{block.where}: declared as a read, but the node changed\n  hint: effect="write"', output
        if BEFORE in block.classes:
            return _judged(block, case, node.caller.send(case.request, case.token and TOKENS[case.token])), output
        try:
            body = json.loads(output)
        except json.JSONDecodeError:
            return f"{block.where}: case {case.id}: printed no JSON:\n{indent(output)}", output
        if block.lang == "bash":
            body, case = _whole(body), replace(case, answer=_whole(case.answer))
        return _judged(block, case, Answered(case.status, body)), output

    def _node(self, start: str) -> Started:
        if start not in self._started:
            self._started[start] = Started(start)
        return self._started[start]


def prove(block: Block) -> str:
    """What is wrong with a JSON block that names a case: it is not its request, or not its answer."""
    case = find(block)
    if case is None:
        return unknown(block)
    try:
        shown = strict_json(block.text)
    except json.JSONDecodeError as error:
        return f"{block.page}:{block.body_line + error.lineno - 1}: not JSON: {error.msg}"
    if REQUEST in block.classes:
        return "" if shown == case.request else f"{block.where}: not the request of case {case.id}"
    return _judged(block, case, Answered(case.status, shown))


def find(block: Block) -> Case | None:
    """The case that the block names, if there is one."""
    method = block.attrs["case"].partition("/")[0]
    return next((case for case in cases.load().get(method, []) if case.id == block.attrs["case"]), None)


def unknown(block: Block) -> str:
    return f"{block.where}: no case {block.attrs['case']}\n  hint: cases are files of snippets/rpc"


def _judged(block: Block, case: Case, got: Answered) -> str:
    difference = levels.judge(case, got).difference
    return f"{block.where}: case {case.id}: {difference}" if difference else ""


def _whole(value: Any) -> Any:
    """1.0 as 1: jq prints them alike."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _writes(node: Started) -> int:
    writes: int = node.control.call("mock.journal", {"limit": 1})["writes"]
    return writes
