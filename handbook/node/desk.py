"""One JSON-RPC call from bytes to answer, and into the journal. Each listener has its own desk with its own methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from handbook.node import dying, envelope, injection
from handbook.node.failure import Dropped, LogLost, RpcError
from handbook.node.faults import Fault
from handbook.node.gate import Caller
from handbook.node.injection import Delivery, Plan
from handbook.node.journal import Call
from handbook.node.node import Node
from handbook.node.wire import json_reply

LOCAL = Caller()
SMALL = 20_000
"""Bytes of a body that strains no build."""
FATAL = "nesting_fatal"
UNANSWERED_DEPTH, FATAL_DEPTH = 20_000, 60_000
"""Nested brackets that build 0ecc756a was seen not to answer, and not to survive."""
Run = Callable[[Node, str, Any, Caller], Any]


class Answer(msgspec.Struct, gc=False):
    """`data` is the whole HTTP answer, or None: the connection is dropped.

    `how` it leaves, and the `plan` of faults, when a fault hit the call.
    """

    data: bytes | None
    close: bool = False
    entry: Call | None = None
    id: Any = None
    how: Delivery | None = None
    plan: Plan | None = None


class Desk:
    """`unlisted` methods are not journalled: asking what happened is not something that happened."""

    def __init__(self, node: Node, listener: str, run: Run, unlisted: frozenset[str] = frozenset()) -> None:
        self._node, self._listener, self._run, self._unlisted = node, listener, run, unlisted

    def call(self, body: bytes, close: bool, again: Answer | None = None, caller: Caller = LOCAL) -> Answer:
        """`again` is an earlier answer to the same request, whose place in the journal this one takes."""
        if again is not None:
            caller = caller._replace(counted=True)
        node = self._node
        if len(body) > SMALL and self._listener == "rpc":
            _strain(node, body)
        call = envelope.parse(body)
        if call is None:
            unread = self._enter(None, body, again)
            if FATAL in node.deviations and envelope.depth(body) >= UNANSWERED_DEPTH and node.deviates(FATAL):
                _failed(unread, None, None, f"fault: {FATAL}")
                unread.faults = node.faults.claim()
                return Answer(None, close, unread)
            _failed(unread, -32700, "parse error", None)
            unread.faults = node.faults.claim()
            return Answer(json_reply(envelope.PARSE_ERROR, close), close, unread)
        entry = None if call.method in self._unlisted else self._enter(call.method, body, again)
        before = node.pending
        answer = Answer(None, close, entry, call.id)
        if node.faults.standing and self._listener == "rpc":
            answer.plan = again.plan if again is not None and again.plan else injection.plan(node, call.method)
            if entry is not None:
                entry.faults = answer.plan.names
            if answer.plan.undone:
                return self._undone(answer, answer.plan.undone)
        try:
            answer.data = json_reply(envelope.result(call.id, self._run(node, call.method, call.params, caller)), close)
        except RpcError as error:
            _failed(entry, error.code, str(error), error.reason)
            answer.data = json_reply(envelope.error(call.id, error.code, str(error)), close)
        except Dropped as dropped:
            _failed(entry, None, None, str(dropped))
        except LogLost as lost:
            dying.give_up(lost)
        if entry is not None and node.pending > before:
            entry.changed = True
            node.journal.writes += 1
        if entry is not None and node.faults.struck:
            entry.faults += node.faults.claim()
        return self._spoil(answer)

    def refuse(self, answer: Answer, why: str) -> Answer:
        """The answer to a call whose changes could not be stored."""
        if answer.entry is not None:
            _failed(answer.entry, -32092, "treasury storage error", why)
            answer.entry.changed = False
            self._node.journal.writes -= 1
        body = envelope.error(answer.id, -32092, "treasury storage error")
        refused = Answer(json_reply(body, answer.close), answer.close, answer.entry, answer.id, plan=answer.plan)
        return self._spoil(refused)

    def _enter(self, method: str | None, body: bytes, again: Answer | None) -> Call:
        if again is not None and again.entry is not None:
            again.entry.ok, again.entry.code, again.entry.message, again.entry.reason = True, None, None, None
            return again.entry
        return self._node.journal.add(self._node.clock(), self._listener, method, body)

    def _undone(self, answer: Answer, fault: Fault) -> Answer:
        code = fault.code if fault.fault == "error" else None
        _failed(answer.entry, code, fault.message, f"fault: {fault.fault}")
        answer.data = injection.instead(fault, answer.id, answer.close)
        return self._spoil(answer)

    def _spoil(self, answer: Answer) -> Answer:
        if answer.plan is not None:
            answer.how = injection.delivery(answer.plan)
            if answer.plan.done and answer.plan.done.fault == "drop_answer":
                answer.data = None
        return answer


def _strain(node: Node, body: bytes) -> None:
    """What a large body does to build 0ecc756a. The time fits the two that were measured: 0.24 s and 11.7 s."""
    if node.deviates("parse_slow"):
        time.sleep(0.24 * (envelope.longest_string(body) / 100_000) ** 2.4)
    if FATAL in node.deviations and envelope.depth(body) >= FATAL_DEPTH:
        node.crash(FATAL)


def _failed(entry: Call | None, code: int | None, message: str | None, reason: str | None) -> None:
    if entry is not None:
        entry.ok, entry.code, entry.message, entry.reason = False, code, message, reason
