"""Stands for Slack, PagerDuty and webhooks on loopback: answers as they do and keeps what it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from handbook import document

ACCEPTED = {"pagerduty": 202}
"""What the service says to a message it takes; 200 where it is not named."""


@dataclass(frozen=True)
class Message:
    """`at` is `time.monotonic()`; `kind` is webhook, slack or pagerduty; `body` is what was posted."""

    at: float
    kind: str
    receiver: str
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """Every string in it, a line each."""
        return "\n".join(value for _, value in document.walk(self.body) if isinstance(value, str))

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """Of a webhook: its alerts with that status, firing or resolved. The other kinds hold text only."""
        return [alert for alert in self.body.get("alerts") or [] if alert["status"] == status]


class Recorder:
    """Listens from the constructor on; `told` is called with each message as it comes."""

    def __init__(self, port: int = 0, told: Callable[[Message], None] | None = None) -> None:
        self._messages: list[Message] = []
        self._told = told or (lambda message: None)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                _, kind, receiver = self.path.split("/", 2)
                recorder._keep(Message(time.monotonic(), kind, unquote(receiver), json.loads(body)))
                self.send_response(ACCEPTED.get(kind, 200))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def address(self, kind: str, receiver: str) -> str:
        """Where a receiver's messages of that kind go."""
        return f"{self.url}/{kind}/{quote(receiver, safe='')}"

    def messages(self, kind: str | None = None) -> list[Message]:
        """In the order in which they came."""
        return [one for one in list(self._messages) if kind in (None, one.kind)]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, message: Message) -> None:
        self._messages.append(message)
        self._told(message)
