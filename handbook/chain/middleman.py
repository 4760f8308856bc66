"""Stands between Prometheus and a node's metrics: holds the answer back, or adds series to it.

For what a mock node does not do by itself: it answers at once, and bounds its labels where the node does not.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Middleman:
    """Passes on what `url` answers, from the constructor on. `delay` in seconds; `extra` is exposition text."""

    def __init__(self, url: str) -> None:
        self.delay, self.extra = 0.0, ""
        middleman = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(middleman.delay)
                try:
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        body = answer.read() + middleman.extra.encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain; charset=utf-8")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # nobody behind, or nobody waits any more: no answer

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
