"""The control listener: what a real node has not got.

Params are strict and errors say which member was wrong and what fits.

Every result of a change is what can be asked for afterwards, so that a page can show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import breaking, keeping, near, world
from handbook.node.batch import Batch
from handbook.node.desk import Answer, Desk
from handbook.node.failure import RpcError
from handbook.node.gate import Caller
from handbook.node.journal import Filter
from handbook.node.members import check
from handbook.node.node import Node
from handbook.node.parser import Request
from handbook.node.peers import MAX_MESSAGE
from handbook.node.results import misfit
from handbook.node.rpc import host_allowed
from handbook.node.wire import FRESH_SECONDS, Connection, reply


def journal(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """The calls that were made, oldest first, from number `since` on; 10 000 are kept. `method` may be a pattern."""
    page = node.journal.page(
        params.get("since", 1),
        params.get("limit"),
        Filter(params.get("method"), params.get("listener"), params.get("failed")),
    )
    for entry in page["entries"]:
        if entry["error"] and entry["listener"] == "rpc":
            found = near.miss(node.contract, entry["method"], entry["error"]["code"], entry["params"])
            if found:
                entry["error"]["near"] = found
    return {"boot_id": node.boot_id, "writes": node.journal.writes, **page}


METHODS: dict[str, Callable[[Node, dict[str, Any]], dict[str, Any]]] = {
    "mock.clock": world.clock,
    "mock.energy": world.energy,
    "mock.dump": keeping.dump,
    "mock.epoch": world.epoch,
    "mock.exchange": breaking.exchange,
    "mock.executor": world.executor,
    "mock.fault.add": breaking.fault_add,
    "mock.fault.clear": breaking.fault_clear,
    "mock.fault.list": breaking.fault_list,
    "mock.fund": world.fund,
    "mock.heal": breaking.heal,
    "mock.journal": journal,
    "mock.load": keeping.load,
    "mock.mine": world.mine,
    "mock.mining": world.mining,
    "mock.partition": breaking.partition,
    "mock.peers": breaking.peers,
    "mock.reset": world.reset,
    "mock.revert": keeping.revert,
    "mock.seed": world.seed,
    "mock.snapshot": keeping.snapshot,
    "mock.snapshots": keeping.kept,
    "mock.status": world.status,
    "mock.tick": world.tick,
}
LOOPBACK_HOSTS = frozenset({b"127.0.0.1", b"localhost"})
UNLISTED = frozenset({"mock.exchange", "mock.journal", "mock.reset", "mock.status"})


def run(node: Node, method: str, params: Any, caller: Caller) -> Any:
    handler = METHODS.get(method)
    if handler is None:
        raise RpcError(-32601, f"{method}: no such method; there are {', '.join(METHODS)}")
    params = {} if params is None else params
    check(method, params)
    result = handler(node, params)
    if wrong := misfit(method, result):
        raise RpcError(-32603, "internal error", wrong)
    return result


class ControlSite:
    """POST / only. No limiter; the default Host list of the RPC listener, against pages that guess at local ports."""

    max_body, fresh_seconds = MAX_MESSAGE, FRESH_SECONDS

    def __init__(self, node: Node, batch: Batch) -> None:
        self._node, self._batch = node, batch
        self._desk = Desk(node, "control", run, UNLISTED)

    def answer(self, connection: Connection, request: Request) -> None:
        if request.verb != b"POST" or request.target.partition(b"?")[0] != b"/":
            self._batch.send(self, connection, None, Answer(reply(404, close=request.close), request.close))
        elif not host_allowed(request.host, LOOPBACK_HOSTS):
            self._batch.send(self, connection, None, Answer(reply(403, close=True), True))
        else:
            self._node.metrics.requests["control"] += 1
            self._batch.send(self, connection, request, self.respond(request))

    def respond(self, request: Request, again: Answer | None = None) -> Answer:
        return self._desk.call(request.body, request.close, again)

    def refuse(self, answer: Answer, why: str) -> Answer:
        return self._desk.refuse(answer, why)

    def drop(self, connection: Connection) -> None:
        self._batch.send(self, connection, None, Answer(None))
