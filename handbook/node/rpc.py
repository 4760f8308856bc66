"""The RPC listener: limiter, Host list, routes. No route knows 405: a wrong verb is a path that does not exist."""

from __future__ import annotations

import time

from handbook.node import envelope, methods
from handbook.node.batch import Batch
from handbook.node.desk import Answer, Desk
from handbook.node.gate import Caller
from handbook.node.node import Node
from handbook.node.parser import Request
from handbook.node.wire import Connection, reply

NOT_FOUND = reply(404)
BADGE = b'{"active":false,"last_burn":null,"last_mint":null}'
NO_LOGS = b'{"error":"log database unavailable"}'
DASHBOARD = b"<!doctype html><html><head><title>The Block</title></head><body><h1>The Block</h1></body></html>\n"
_GETS: dict[tuple[bytes, ...], str] = {
    (b"badge", b"status"): "badge",
    (b"dashboard",): "dashboard",
    (b"logs", b"search"): "logs",
    (b"logs", b"tail"): "upgrade",
    (b"state_stream",): "upgrade",
    (b"vm", b"trace"): "upgrade",
}


def host_allowed(host: bytes, allowed: frozenset[bytes]) -> bool:
    """As the node normalises it: up to `]` for a bracketed address, else up to the first colon; no dot is trimmed."""
    host = host.strip()
    name = host[1:].partition(b"]")[0] if host.startswith(b"[") else host.partition(b":")[0]
    return name.lower() in allowed


def route(request: Request, aliases: bool) -> str | None:
    """What a request asks for: call, preflight, badge, dashboard, logs, upgrade; None is a 404."""
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
        settings = node.settings
        self.max_body, self.fresh_seconds = settings.max_body_bytes, settings.request_timeout_ms / 1000
        self._hosts = frozenset(host.encode().lower() for host in settings.allowed_hosts)
        self._origins = frozenset(origin.encode() for origin in settings.cors_allow_origins)

    def answer(self, connection: Connection, request: Request) -> None:
        node, close = self._node, request.close
        asked = route(request, node.config.aliases and "aliases_off" not in node.deviations)
        if asked is None:
            self._now(connection, reply(404, close=True) if close else NOT_FOUND, close)
            return
        node.metrics.requests["rpc"] += 1
        if refusal := node.limiter.refuse(request.peer, time.monotonic()):
            body = envelope.error(None, *refusal)
            refused = reply(429, body, close=True, content_type="application/json")
            self._batch.send(self, connection, None, Answer(refused, True))
        elif asked == "call":
            if host_allowed(request.host, self._hosts):
                self._batch.send(self, connection, request, self.respond(request))
            else:
                self._batch.send(self, connection, None, Answer(reply(403, close=True), True))
        elif asked == "preflight":
            self._now(connection, self._preflight(request), close)
        elif asked == "dashboard":
            self._now(connection, reply(200, DASHBOARD, close, content_type="text/html; charset=utf-8"), close)
        elif asked == "upgrade":  # nothing streams here, so a proper upgrade, 101 on the node, is refused too
            status = 400 if host_allowed(request.host, self._hosts) else 403
            self._now(connection, reply(status, close=True), True)
        else:
            status, body = (200, BADGE) if asked == "badge" else (404, NO_LOGS)
            self._now(connection, reply(status, body, close, content_type="application/json"), close)

    def respond(self, request: Request, again: Answer | None = None) -> Answer:
        answer = self._desk.call(request.body, request.close, again, Caller(request.peer, request.authorization))
        if answer.data is not None and request.origin in self._origins:
            allow = b"\r\naccess-control-allow-origin: %b\r\n" % request.origin
            answer.data = answer.data.replace(b"\r\n", allow, 1)
        return answer

    def _preflight(self, request: Request) -> bytes:
        if request.origin not in self._origins:
            return reply(403, close=request.close)
        return reply(
            204,
            close=request.close,
            access_control_allow_origin=request.origin.decode(),
            access_control_allow_methods="POST",
            access_control_allow_headers="content-type, authorization",
        )

    def refuse(self, answer: Answer, why: str) -> Answer:
        return self._desk.refuse(answer, why)

    def drop(self, connection: Connection) -> None:
        self._batch.send(self, connection, None, Answer(None))

    def _now(self, connection: Connection, data: bytes, close: bool) -> None:
        """In order behind whatever the client is still waiting for."""
        self._batch.send(self, connection, None, Answer(data, close))
