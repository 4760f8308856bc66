"""An Alertmanager on loopback with the shipped routes, and the recorder that it tells."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handbook.chain import config
from handbook.chain.process import Server
from handbook.chain.recorder import Message, Recorder
from handbook.ports import free_port


class Pager:
    """Started by the constructor; `stop()` ends both. `ports` are Alertmanager's and the recorder's; 0 is a free one.

    `texts` are the kinds of text that each receiver sends, beside the webhook. `short=False` leaves the shipped
    durations. Raises tool.MissingTool, NotInTime, Unreadable.
    """

    def __init__(
        self,
        directory: Path,
        source: Path = config.MONITORING,
        ports: tuple[int, int] = (0, 0),
        *,
        short: bool = True,
        told: Callable[[Message], None] | None = None,
    ) -> None:
        self.recorder = Recorder(ports[1], told)
        self._server: Server | None = None
        try:
            self.texts = config.alertmanager(source, directory, self.recorder, short=short)
            self.address = f"127.0.0.1:{ports[0] or free_port()}"
            self.url = f"http://{self.address}"
            arguments = [
                "--config.file=alertmanager.yml",
                "--storage.path=alertmanager-data",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
            ]
            self._server = Server("prometheus-alertmanager", arguments, directory, f"{self.url}/-/ready")
            self._server.wait()
        except BaseException:
            self.stop()
            raise

    def send(self, alerts: list[dict[str, Any]]) -> None:
        """Gives it alerts, as Prometheus does."""
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", json.dumps(alerts).encode(), head)
        urllib.request.urlopen(request, timeout=10).close()

    def active(self) -> list[dict[str, Any]]:
        """The alerts that it holds, muted ones too."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def stop(self) -> None:
        if self._server:
            self._server.stop()
        self.recorder.stop()
