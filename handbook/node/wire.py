"""HTTP/1.1 as the node reads it, on httptools. What the node drops without a word is dropped without a word.

A fresh connection has 5 s for its whole request, a kept one 90 s. Requests may be pipelined; answers keep their order.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

import httptools
import msgspec

MAX_BODY = 1_048_576
MAX_HEAD = 65_536
"""Bytes of a request's head beyond the piece it began in."""
FRESH_SECONDS = 5.0
KEPT_SECONDS = 90.0
JUST_NOW = 0.0
"""Deadline of a connection that was just answered.

The next look at it starts its 90 s, so no answer asks for the time.
"""
VERBS = frozenset({b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS"})


class Request(msgspec.Struct, gc=False):
    """`close`: the client does not want the connection kept. `target` is the request line's, query included."""

    verb: bytes
    target: bytes
    host: bytes
    origin: bytes | None
    body: bytes
    peer: str
    close: bool
    authorization: bytes | None = None


class Site(Protocol):
    """Answers requests: calls `connection.reply` once per request, now or later, or `connection.drop`.

    `max_body` in bytes; a fresh connection has `fresh_seconds` for its whole request.
    """

    max_body: int
    fresh_seconds: float

    def answer(self, connection: Connection, request: Request) -> None: ...

    def drop(self, connection: Connection) -> None:
        """Closes the connection, once what was asked before is answered."""


class Connection(asyncio.Protocol):
    """One client. While an answer is held back (`busy`), later requests of the same client wait in `_queue`."""

    def __init__(self, site: Site, connections: set[Connection]) -> None:
        self._site, self._all = site, connections
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self.busy = self._dead = self._in_head = self._began = False
        self._head = 0
        self._start()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        self.deadline = asyncio.get_running_loop().time() + self._site.fresh_seconds
        self._all.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._all.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._offered and not self._dead:
            self._read_on(data)
            return
        self._began = False
        try:
            self._parser.feed_data(data)
            if self._in_head and not self._began:
                self._head += len(data)
                if self._head > MAX_HEAD:
                    self._refuse()
        except httptools.HttpParserUpgrade as upgrade:
            if self._offered:
                self._read_on(data[upgrade.args[0] :])
            else:
                self._refuse()
        except httptools.HttpParserError:
            self._refuse()

    def pause_writing(self) -> None:
        """The client does not read its answers: it is asked for nothing more until it does."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _refuse(self) -> None:
        if not self._dead:
            self._dead = True
            self._site.drop(self)

    def drop(self) -> None:
        """Closes without a word; what was answered before is still sent."""
        self.transport.close()

    def reply(self, data: bytes, close: bool) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(data)
        if close:
            transport.close()
        else:
            self.deadline = JUST_NOW

    def reset(self) -> None:
        """Closes with a RST: what was not read is lost to the client."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def hold(self, seconds: float, leave: Callable[[], None]) -> None:
        """Lets the answer leave later; requests behind this one wait for it."""
        self._busy_on()
        asyncio.get_running_loop().call_later(seconds, self._release, leave)

    def dribble(self, head: bytes, body: bytes, rate: int, close: bool, limit: float) -> None:
        """`head` at once, then `rate` bytes of the body a second, ten times a second; closes after `limit` seconds."""
        loop = asyncio.get_running_loop()
        self._busy_on()
        self.transport.write(head)
        started = loop.time()

        def go_on(sent: int) -> None:
            if self.transport.is_closing():
                return
            passed = loop.time() - started
            due = min(int(passed * rate), len(body))
            if due == len(body):
                self._release(lambda: self.reply(body[sent:], close))
            elif passed > limit:
                self.transport.close()
            else:
                if due > sent:
                    self.transport.write(body[sent:due])
                loop.call_later(0.1, go_on, due)

        go_on(0)

    def _busy_on(self) -> None:
        self.busy = True
        self.deadline = float("inf")

    def _release(self, leave: Callable[[], None]) -> None:
        self.busy = False
        leave()
        while self._queue and not self.busy and not self.transport.is_closing():
            self._site.answer(self, self._queue.popleft())

    # --- httptools callbacks

    def _start(self) -> None:
        self._target = self._body = b""
        self._host: bytes | None = None
        self._origin: bytes | None = None
        self._connection: bytes | None = None
        self._authorization: bytes | None = None
        self._chunked = self._too_long = self._offered = False
        self._length = 0

    def on_message_begin(self) -> None:
        self._in_head = self._began = True
        self._head = 0
        self._start()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"host":
            self._host = value
        elif name == b"origin":
            self._origin = value
        elif name == b"authorization":
            self._authorization = value
        elif name == b"connection":
            self._connection = value
        elif name == b"transfer-encoding":
            self._chunked = True
        elif name == b"content-length":
            if not value.isdigit() or int(value) > self._site.max_body:
                self._too_long = True
            else:
                self._length = int(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        if (
            self._too_long
            or self._host is None
            or parser.get_http_version() != "1.1"
            or parser.get_method() not in VERBS
        ):
            self._refuse()

    def on_body(self, body: bytes) -> None:
        if not self._chunked:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        if self._length and not self._chunked and self._parser.should_upgrade():
            self._offered = True  # the parser stops before the body, which the node reads as any other
        else:
            self._ask()

    def _read_on(self, data: bytes) -> None:
        self._body = (self._body + data)[: self._length]
        if len(self._body) == self._length:
            self._ask()

    def _ask(self) -> None:
        if self._dead or self._host is None or self.transport.is_closing():
            return
        close = self._chunked or (self._connection is not None and self._connection.lower() != b"keep-alive")
        request = Request(
            self._parser.get_method(), self._target, self._host, self._origin, self._body, self._peer, close,
            self._authorization,
        )  # fmt: skip
        if not self._offered:
            self._body = b""  # an idle connection keeps no mebibyte
        self._dead = close  # what follows is not answered
        if self.busy:
            self._queue.append(request)
        else:
            self._site.answer(self, request)


def close_late(connections: set[Connection], now: float) -> None:
    """Drops the connections whose time is up. To be called every half second or so."""
    for connection in list(connections):
        if connection.deadline == JUST_NOW:
            connection.deadline = now + KEPT_SECONDS
        elif connection.deadline < now:
            if connection.transport.is_closing():  # it has not read its last answer either
                connection.transport.abort()
            connection.drop()
            connection.deadline = now + FRESH_SECONDS


_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: %b\r\ncontent-length: %d\r\n\r\n%b"
_KEPT = b"keep-alive\r\nkeep-alive: timeout=90"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def json_reply(body: bytes, close: bool) -> bytes:
    return _OK % (b"close" if close else _KEPT, len(body), body)


def reply(status: int, body: bytes = b"", close: bool = False, **headers: str) -> bytes:
    """A whole answer; `content_type="…"` becomes a content-type header."""
    lines = b"".join(f"{name.replace('_', '-')}: {value}\r\n".encode() for name, value in headers.items())
    return b"HTTP/1.1 %d %b\r\n%bconnection: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        status, _REASONS.get(status, b"Fault"), lines, b"close" if close else _KEPT, len(body), body,
    )  # fmt: skip
