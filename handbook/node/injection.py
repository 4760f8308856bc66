"""Faults of the wire at one call: which hit it, what it is answered instead, and how the answer leaves."""

from __future__ import annotations

import msgspec

from handbook.node import envelope
from handbook.node.faults import DONE, UNDONE, Fault
from handbook.node.node import Node
from handbook.node.wire import Connection, json_reply, reply

MAX_SECONDS = 600
"""The longest that an answer is held or dribbled; then the connection is closed."""


class Delivery(msgspec.Struct, gc=False):
    """How an answer leaves. `delay` in seconds; `rate` in bytes per second; `cut`: body bytes that are sent."""

    delay: float = 0.0
    reset: bool = False
    rate: int | None = None
    cut: int | None = None


class Plan(msgspec.Struct, gc=False):
    """The faults that hit one call; at most one keeps it from being done, at most one spoils its answer."""

    undone: Fault | None = None
    done: Fault | None = None
    delay: float = 0.0
    names: tuple[str, ...] = ()


def plan(node: Node, method: str | None) -> Plan:
    """Draws. Faults that would not be seen behind another one are not used up."""
    undone = _first(node, tuple(UNDONE), method)
    done = None if undone else _first(node, tuple(DONE), method)
    late = node.strike("delay", method)
    delay = 0.0
    if late:
        extra = (late.jitter or 0) * late.draw(node.state.random_seed, "jitter")
        delay = ((late.milliseconds or 0) + extra) / 1000
    return Plan(undone, done, delay, node.faults.claim())


def instead(fault: Fault, id_: object, close: bool) -> bytes | None:
    """The whole HTTP answer of a call that is not done; None closes the connection."""
    if fault.fault == "error":
        return json_reply(envelope.error(id_, fault.code or 0, fault.message or ""), close)
    return reply(fault.status or 0, close=close) if fault.fault == "http_status" else None


def delivery(found: Plan) -> Delivery | None:
    """None when the answer leaves as it is."""
    fault = found.done
    if fault is None:
        return Delivery(found.delay) if found.delay else None
    if fault.fault == "truncated_body":
        return Delivery(found.delay, cut=-1 if fault.bytes is None else fault.bytes)
    return Delivery(found.delay, fault.fault == "reset", fault.bytes_per_second)


def deliver(connection: Connection, data: bytes | None, close: bool, how: Delivery) -> None:
    if how.delay:
        connection.hold(how.delay, lambda: _leave(connection, data, close, how))
    else:
        _leave(connection, data, close, how)


def _leave(connection: Connection, data: bytes | None, close: bool, how: Delivery) -> None:
    if how.reset:
        connection.reset()
    elif data is None:
        connection.drop()
    elif how.rate:
        head = data.index(b"\r\n\r\n") + 4
        connection.dribble(data[:head], data[head:], how.rate, close, MAX_SECONDS)
    elif how.cut is not None:
        head = data.index(b"\r\n\r\n") + 4
        body = data[head:]
        whole = len(body) // 2 if how.cut < 0 else min(how.cut, len(body) - 1)
        connection.reply(data[: head + max(whole, 0)], True)
    else:
        connection.reply(data, close)


def _first(node: Node, kinds: tuple[str, ...], method: str | None) -> Fault | None:
    standing = {fault.fault for fault in node.faults.standing}
    for kind in kinds:
        if kind in standing and (fault := node.strike(kind, method)):
            return fault
    return None
