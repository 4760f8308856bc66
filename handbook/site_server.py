"""The built site over HTTP on loopback, and the way from its pages to the mock node that was started with it."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

SETTINGS = "/assets/console.json"
"""What a page asks to learn which node stands behind it; the built file says none."""
FORWARD = "/node"
MAX_BODY = 1 << 20
"""Bytes; the node drops a larger one."""
PATIENCE = 60.0
"""Seconds to wait for the node."""


class SiteServer(ThreadingHTTPServer):
    """Bound, but not listening before `server_activate()`. Raises OSError when the address is taken."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], directory: Path, node: str | None = None) -> None:
        self.directory, self.node = directory, node
        super().__init__(address, Handler, bind_and_activate=False)
        try:
            self.server_bind()
        except OSError:
            self.server_close()
            raise

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class Handler(SimpleHTTPRequestHandler):
    """The site's files, its own 404 page, and POST /node; without a log line per request."""

    server: SiteServer

    def __init__(self, request: object, address: object, server: SiteServer) -> None:
        super().__init__(request, address, server, directory=str(server.directory))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if urlsplit(self.path).path == SETTINGS:
            return self._answer(200, json.dumps({"node": self.server.node}).encode(), "application/json")
        return super().do_GET()

    def do_POST(self) -> None:
        """Hands the body to the mock node and its answer back. Only for pages of this very site."""
        if urlsplit(self.path).path != FORWARD or not self.server.node:
            return self._answer(404, b"no node stands behind this site")
        if not self._from_here():
            return self._answer(403, b"only pages of this site may send here")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._answer(413, f"a body of at most {MAX_BODY} bytes, with its Content-Length".encode())
        body = self.rfile.read(int(length))
        try:
            status, answer, kind = self._ask(body)
        except (OSError, HTTPException) as error:
            why = f"The mock node at {self.server.node} gives no answer: {error or type(error).__name__}."
            return self._answer(502, f"{why} Is `make run` still at work?".encode())
        return self._answer(status, answer, kind)

    def _from_here(self) -> bool:
        """Whether a page of this site sent it. Another name than localhost may be another site's that leads here."""
        host = self.headers.get("Host", "")
        name = urlsplit(f"http://{host}").hostname or ""
        try:
            known = name == "localhost" or bool(ip_address(name))
        except ValueError:
            known = False
        return known and self.headers.get("Origin") == f"http://{host}"

    def _ask(self, body: bytes) -> tuple[int, bytes, str]:
        at = urlsplit(str(self.server.node))
        connection = HTTPConnection(str(at.hostname), at.port, timeout=PATIENCE)
        try:
            token = self.headers.get("Authorization")
            connection.request("POST", "/", body, {"Authorization": token} if token else {})
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers.get("Content-Type", "application/json")
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = self.server.directory / "404.html"
        if code != 404 or not page.is_file():
            return super().send_error(code, message, explain)
        body = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return None
