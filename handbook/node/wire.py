"""HTTP/1.1 connections as the node keeps them. What the node drops without a word is dropped without a word.

A fresh connection has 5 s for its whole request, a kept one 90 s. Requests may be pipelined; answers keep their order.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Protocol, cast

from handbook.node.parser import Parser, Request

MAX_BODY = 1_048_576
FRESH_SECONDS = 5.0
KEPT_SECONDS = 90.0
JUST_NOW = 0.0
"""Deadline of a connection that was just answered.

The next look at it starts its 90 s, so no answer asks for the time.
"""


_numbers = count()
"""Of connections, in the order in which they were accepted."""


class Site(Protocol):
    """Answers requests: calls `connection.reply` once per request, now or later, or `connection.drop`.

    `max_body` in bytes; a fresh connection has `fresh_seconds` for its whole request.
    """

    max_body: int

    @property
    def fresh_seconds(self) -> float: ...

    def answer(self, connection: Connection, request: Request) -> None: ...

    def drop(self, connection: Connection) -> None:
        """Closes the connection, once what was asked before is answered."""


class Connection(asyncio.Protocol):
    """One client.

    While an answer is held back (`busy`), or the client does not read, its later requests wait and no more are read.
    An answer that is ready while an earlier one is held waits `behind` it.
    """

    def __init__(self, site: Site, connections: set[Connection]) -> None:
        self.site, self._all = site, connections
        self._parser = Parser(self, site.max_body)
        self._asked: deque[Request | None] = deque()
        self._behind: deque[Callable[[], None]] = deque()
        self.busy = self._full = self._deaf = False
        self.number = next(_numbers)
        self.silent = True
        """Until it has sent its first whole request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._parser.peer = peer[0] if peer else ""
        self.deadline = asyncio.get_running_loop().time() + self.site.fresh_seconds
        self._all.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._all.discard(self)
        self._asked.clear()
        self._behind.clear()
        self._parser.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)

    def pause_writing(self) -> None:
        self._full = True
        self._listen()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    def ask(self, request: Request) -> None:
        self.silent = False
        if self.transport.is_closing():
            return
        if self.busy or self._full:
            self._wait(request)
        else:
            self.site.answer(self, request)

    def refuse(self) -> None:
        if self._asked:
            self._wait(None)
        else:
            self.site.drop(self)

    def _wait(self, request: Request | None) -> None:
        self._asked.append(request)
        self._listen()

    def _listen(self) -> None:
        """Reads from the client, unless it asked for more than can be answered now."""
        deaf = self._full or bool(self._asked)
        if deaf == self._deaf or self.transport.is_closing():
            return
        self._deaf = deaf
        if deaf:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _go_on(self) -> None:
        asked = self._asked
        while asked and not (self.busy or self._full or self.transport.is_closing()):
            request = asked.popleft()
            if request is None:
                self.site.drop(self)
            else:
                self.site.answer(self, request)
        self._listen()

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
        """Lets the answer leave later; what comes behind it waits for it."""
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

    def behind(self, leave: Callable[[], None]) -> None:
        """Calls `leave` once the answer that is held, and all that wait behind it, have left."""
        self._behind.append(leave)

    def _release(self, leave: Callable[[], None]) -> None:
        self.busy = False
        leave()
        while self._behind and not self.busy:
            self._behind.popleft()()
        self._go_on()


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
