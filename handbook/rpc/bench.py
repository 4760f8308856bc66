"""Where cases are put: mock nodes started for them, or one node that somebody else runs.

A node that is not ours is asked slowly, and nothing is asked of it that changes it unless that is allowed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from handbook.control import Control, Refused
from handbook.pages.compare import Difference
from handbook.rpc import cases, reference, starts
from handbook.rpc.cases import Case, Step
from handbook.rpc.levels import Answered
from handbook.rpc.starts import Caller, Started


@dataclass
class Asked:
    """What a case was answered; `calls` are the RPC calls made for it and the bodies that came, in order.

    `answered` is None when a call before it did not end as it must: `broken` says which.
    """

    calls: list[tuple[Step, Any]] = field(default_factory=list)
    answered: Answered | None = None
    broken: Difference | None = None


class Bench(Protocol):
    """`live`: the node's data are its own, and it cannot be reset. `own`: started for the cases, limiters and all."""

    own: bool

    @property
    def live(self) -> bool: ...
    @property
    def name(self) -> str: ...
    def why_not(self, case: Case) -> str:
        """Why the case is not run here; empty when it is."""

    def ask(self, case: Case) -> Asked:
        """Raises Unreachable."""


class OwnNodes:
    """Mock nodes, one for each start, started when a case first wants it. Use it in a `with`."""

    own, live = True, False

    def __init__(self, build: str = "contract") -> None:
        self.name, self._build = f"mock nodes ({build})", build
        self._stack, self._nodes = ExitStack(), dict[str, Started]()

    def why_not(self, case: Case) -> str:
        return ""

    def ask(self, case: Case) -> Asked:
        if case.node not in self._nodes:
            self._nodes[case.node] = self._stack.enter_context(Started(case.node, self._build))
        node = self._nodes[case.node]
        return _put(case, node.caller, node.control, starts.TOKENS)

    def control(self, start: str) -> Control:
        """Of the node with that start, which a case must have wanted."""
        return self._nodes[start].control

    def __enter__(self) -> OwnNodes:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@dataclass(frozen=True)
class Allowed:
    """What may be done to a node that is not ours. `also` are methods that are named one by one."""

    writes: bool = False
    also: frozenset[str] = frozenset()
    per_second: float = 10.0


class OneNode:
    """A node that runs already. With a control listener it is a mock, and is reset for every case."""

    own = False

    def __init__(
        self,
        url: str,
        control: str | None = None,
        start: str = "open",
        tokens: Mapping[str, str] | None = None,
        allowed: Allowed = Allowed(),
    ) -> None:
        self.name, self._start, self._tokens, self._allowed = url, start, tokens or {}, allowed
        self._caller, self._control = Caller(url), Control(control) if control else None
        self._next = 0.0

    @property
    def live(self) -> bool:
        return self._control is None

    def why_not(self, case: Case) -> str:
        free = reference.methods().get(case.method, {}).get("x-role") in ("none", "loopback")
        if case.node != self._start and not (case.node == "open" and self._start == "tokens" and free):
            return starts.NEEDS[case.node]
        if case.token and case.token not in self._tokens and case.token != "stranger":
            return f"needs the token of the {case.token}"
        if not self.live:
            return ""
        if case.before:
            return "needs a fresh node"
        method = reference.methods().get(case.method)
        if method is None:
            return "calls a method that is not described"
        if "x-hazard" in method or method["x-effect"] == "destructive":
            effect = "hazardous" if "x-hazard" in method else "destructive"
            return "" if case.method in self._allowed.also else f"{effect}, and not named"
        return "" if method["x-effect"] == "read" or self._allowed.writes else "changes the node"

    def ask(self, case: Case) -> Asked:
        if self.live:
            time.sleep(max(self._next - time.monotonic(), 0))
            self._next = time.monotonic() + 1 / self._allowed.per_second
        return _put(case, self._caller, self._control, {**self._tokens, "stranger": starts.TOKENS["stranger"]})

    def __enter__(self) -> OneNode:
        return self

    def __exit__(self, *_: object) -> None:
        self._caller.close()
        if self._control:
            self._control.close()


def _put(case: Case, caller: Caller, control: Control | None, tokens: Mapping[str, str]) -> Asked:
    asked = prepare(case, caller, control, tokens)
    if not asked.broken:
        asked.answered = caller.send(case.request, tokens.get(case.token or ""))
        asked.calls.append((_part(case.request), asked.answered.body))
    return asked


def prepare(case: Case, caller: Caller, control: Control | None, tokens: Mapping[str, str]) -> Asked:
    """Resets the node, if it can be, and makes the calls before the case's own."""
    asked = Asked()
    if control:
        control.call("mock.reset", cases.FRESH)
    for position, step in enumerate(case.before):
        wrong = _step(step, caller, control, tokens, asked)
        if wrong:
            name = step.get("control") or step["method"]
            asked.broken = Difference(f"before[{position}] {name}", *wrong)
            return asked
    return asked


def _step(
    step: Step, caller: Caller, control: Control | None, tokens: Mapping[str, str], asked: Asked
) -> tuple[str, str] | None:
    """Makes one call before the case's own; what was expected of it and what came, if that is not the same."""
    if "control" in step:
        assert control
        try:
            control.call(step["control"], step.get("params"))
        except Refused as refused:
            return "a result", f"error {refused.code} {refused.message}"
        return None
    came = caller.send({"jsonrpc": "2.0", "id": 1, **_part(step)}, tokens.get(step.get("token", "")))
    asked.calls.append((_part(step), came.body))
    error = came.body.get("error") if isinstance(came.body, dict) else {"code": f"in HTTP status {came.status}"}
    code = error and error["code"]
    expected = step.get("fails")
    if code == expected:
        return None
    said, got = ("a result" if one is None else f"error {one}" for one in (expected, code))
    return said, got


def _part(call: dict[str, Any]) -> Step:
    return {name: call[name] for name in ("method", "params") if name in call}
