"""The RPC listener: limiter, Host list, routes. No route knows 405: a wrong verb is a path that does not exist."""

from __future__ import annotations

import time

from handbook.node import envelope, methods
from handbook.node.batch import Batch
from handbook.node.desk import Answer, Desk
from handbook.node.node import Node
from handbook.node.wire import Connection, Request, reply

ALLOWED_HOSTS = frozenset({b"127.0.0.1", b"localhost"})
NOT_FOUND = reply(404)
BADGE = b'{"active":false,"last_burn":null,"last_mint":null}'
NO_LOGS = b'{"error":"log database unavailable"}'
_GETS: dict[tuple[bytes, ...], str] = {(b"badge", b"status"): "badge", (b"logs", b"search"): "logs"}


def host_allowed(host: bytes) -> bool:
    """As the node normalises it: up to `]` for a bracketed address, else up to the first colon; no dot is trimmed."""
    host = host.strip()
    name = host[1:].partition(b"]")[0] if host.startswith(b"[") else host.partition(b":")[0]
    return name.lower() in ALLOWED_HOSTS


def route(request: Request, aliases: bool) -> str | None:
    """What a request asks for: call, preflight, badge, logs; None is a 404."""
    target, verb = request.target, request.verb
    if target == b"/":
        segments: list[bytes] = []
    else:
        segments = [segment for segment in target.partition(b"?")[0].split(b"/") if segment]
    if not segments:
        return {b"POST": "call", b"OPTIONS": "preflight"}.get(verb)
    if segments == [b"rpc"] and verb == b"POST" and aliases:  # seed alias: the node answers 404 here
        return "call"
    return _GETS.get(tuple(segments)) if verb == b"GET" else None


class RpcSite:
    def __init__(self, node: Node, batch: Batch) -> None:
        self._node, self._batch = node, batch
        self._desk = Desk(node, "rpc", methods.run)

    def answer(self, connection: Connection, request: Request) -> None:
        node, close = self._node, request.close
        asked = route(request, node.config.aliases)
        if asked is None:
            self._now(connection, reply(404, close=True) if close else NOT_FOUND, close)
            return
        node.metrics.requests["rpc"] += 1
        if refusal := node.limiter.refuse(request.peer, time.monotonic()):
            body = envelope.error(None, *refusal)
            refused = reply(429, body, close=True, content_type="application/json")
            self._batch.send(self, connection, None, Answer(refused, True))
        elif asked == "call":
            if host_allowed(request.host):
                self._batch.send(self, connection, request, self.respond(request))
            else:
                self._batch.send(self, connection, None, Answer(reply(403, close=True), True))
        elif asked == "preflight":  # no origin is on the node's default list
            self._now(connection, reply(403, close=close), close)
        else:
            status, body = (200, BADGE) if asked == "badge" else (404, NO_LOGS)
            self._now(connection, reply(status, body, close, content_type="application/json"), close)

    def respond(self, request: Request, again: Answer | None = None) -> Answer:
        return self._desk.call(request.body, request.close, again)

    def refuse(self, answer: Answer, why: str) -> Answer:
        return self._desk.refuse(answer, why)

    def drop(self, connection: Connection) -> None:
        self._batch.send(self, connection, None, Answer(None))

    def _now(self, connection: Connection, data: bytes, close: bool) -> None:
        """In order behind whatever the client is still waiting for."""
        self._batch.send(self, connection, None, Answer(data, close))
