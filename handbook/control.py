"""Client of a JSON-RPC listener over one kept connection: the mock node's control listener, or its RPC."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit


class Unreachable(Exception):
    """Nobody answers at the address."""


class Refused(Exception):
    """The listener answered with an error. `code` and `message` are its own."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {code} {message}")
        self.code, self.message = code, message


class Control:
    """Calls methods at `url`. Reconnects once when the kept connection has gone; seconds in `timeout`."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// address")
        self.url = url.rstrip("/")
        self._address = (parts.hostname, parts.port or 80)
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result. Raises Refused for an error answer, Unreachable when nobody answers."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        answer = json.loads(self._post(body))
        if "error" in answer:
            raise Refused(method, answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _post(self, body: str) -> bytes:
        for kept in (True, False):
            try:
                if self._connection is None:
                    kept = False
                    self._connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
                    self._connection.connect()
                    self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
                return self._connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not kept:
                    raise Unreachable(f"nobody answers at {self.url}: {error}") from None
        raise AssertionError("unreachable")
