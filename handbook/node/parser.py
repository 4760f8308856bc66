"""Requests out of bytes, on httptools: which head the node refuses, and which body it reads."""

from __future__ import annotations

from typing import Protocol

import httptools
import msgspec

MAX_HEAD = 65_536
"""Bytes of a request's head beyond the piece it began in."""
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


class Asker(Protocol):
    """Takes what was read: `ask` once per whole request, at most one `refuse`, and nothing after it."""

    def ask(self, request: Request) -> None: ...

    def refuse(self) -> None:
        """What came is no request that the node answers."""


class Parser:
    """Of one connection. `peer` is set by its owner. After a refusal, or a request that closes, bytes are dropped."""

    def __init__(self, asker: Asker, max_body: int) -> None:
        self._asker, self._max_body = asker, max_body
        self._http = httptools.HttpRequestParser(self)
        self.peer = ""
        self._ended = self._in_head = self._began = False
        self._head = 0
        self._target = self._body = b""
        self._host: bytes | None = None
        self._origin: bytes | None = None
        self._connection: bytes | None = None
        self._authorization: bytes | None = None
        self._chunked = self._too_long = self._offered = False
        self._length = 0

    def feed(self, data: bytes) -> None:
        """Asks for every request that `data` completes."""
        while data and not self._ended:
            data = self._behind_the_offer(data) if self._offered else self._parse(data)

    def close(self) -> None:
        """Lets go of what was read: the two parsers hold each other, and would be kept until a collection."""
        self._ended = True
        self._body = b""
        del self._http

    def _parse(self, data: bytes) -> bytes:
        """What is left to read: the bytes behind the head of a request that offered an upgrade."""
        self._began = False
        try:
            self._http.feed_data(data)
            if self._in_head and not self._began:
                self._head += len(data)
                if self._head > MAX_HEAD:
                    self._refuse()
        except httptools.HttpParserUpgrade as upgrade:
            if not self._offered:  # it had no body, and was asked
                self._http = httptools.HttpRequestParser(self)
            return data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse()
        return b""

    def _behind_the_offer(self, data: bytes) -> bytes:
        missing = self._length - len(self._body)
        self._body += data[:missing]
        if len(self._body) == self._length:
            self._ask()
            self._offered = False
            self._http = httptools.HttpRequestParser(self)
        return data[missing:]

    def _refuse(self) -> None:
        if not self._ended:
            self._ended = True
            self._asker.refuse()

    def _ask(self) -> None:
        if self._ended or self._host is None:
            return
        close = self._chunked or (self._connection is not None and self._connection.lower() != b"keep-alive")
        body, self._body = self._body, b""  # an idle connection keeps no mebibyte
        self._ended = close
        self._asker.ask(
            Request(self._http.get_method(), self._target, self._host, self._origin, body, self.peer, close,
                    self._authorization)
        )  # fmt: skip

    # --- httptools callbacks

    def _start(self) -> None:
        self._target = self._body = b""
        self._host = self._origin = self._connection = self._authorization = None
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
            if not value.isdigit() or int(value) > self._max_body:
                self._too_long = True
            else:
                self._length = int(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        http = self._http
        if self._too_long or self._host is None or http.get_http_version() != "1.1" or http.get_method() not in VERBS:
            self._refuse()

    def on_body(self, body: bytes) -> None:
        if not self._chunked:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        if self._length and not self._chunked and self._http.should_upgrade():
            self._offered = True  # httptools stops before the body, which the node reads as any other
        else:
            self._ask()
