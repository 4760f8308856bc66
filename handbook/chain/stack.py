"""A Prometheus on loopback with the shipped rules and jobs, and the pager that it tells."""

from __future__ import annotations

import json
import signal
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook.chain import config, squeeze
from handbook.chain.pager import Pager
from handbook.chain.process import Server, wait_until
from handbook.chain.recorder import Message
from handbook.ports import free_port

FLAGS = {"--query.lookback-delta": "5m", "--rules.alert.resend-delay": "1m"}
"""Durations that are flags of Prometheus, with its defaults."""


@dataclass(frozen=True)
class Ports:
    """On 127.0.0.1; 0 takes a free one."""

    prometheus: int = 0
    alertmanager: int = 0
    recorder: int = 0


class Stack:
    """Started by the constructor, without rules; `stop()` ends all of it.

    `scraped` are job and HOST:PORT of each target. The rest is the pager's. Raises what the pager raises, and KeyError.
    """

    def __init__(
        self,
        directory: Path,
        source: Path = config.MONITORING,
        ports: Ports | None = None,
        *,
        scraped: Iterable[tuple[str, str]] = (),
        short: bool = True,
        told: Callable[[Message], None] | None = None,
    ) -> None:
        ports = ports or Ports()
        self._directory, self._source, self._short, self._lock = directory, source, short, threading.Lock()
        self._targets: dict[str, tuple[str, ...]] = {}
        self._server: Server | None = None
        self.pager = Pager(directory, source, (ports.alertmanager, ports.recorder), short=short, told=told)
        try:
            self._jobs = config.prometheus(source, directory, self.pager.address, short=short)
            for job, address in scraped:
                self.scrape(job, address)
            self._address = f"127.0.0.1:{ports.prometheus or free_port()}"
            self.url = f"http://{self._address}"
            self.start_prometheus()
        except BaseException:
            self.stop()
            raise

    def scrape(self, job: str, address: str) -> None:
        """Has Prometheus scrape HOST:PORT as a target of the job, within 5 s. Raises KeyError for no such job."""
        if job not in self._jobs:
            raise KeyError(f"prometheus.yml has no job {job}; it has {', '.join(self._jobs)}")
        with self._lock:
            self._targets[job] = (*self._targets.get(job, ()), address)
            config.targets(self._directory, job, self._targets[job])

    def wait_for_scrapes(self, count: int) -> None:
        """Until so many targets answer. Raises NotInTime."""
        wait_until(f"{count} targets up", lambda: len(self.query("up == 1")) == count)

    def rule(self) -> None:
        """Loads the rules; to be called once the targets answer.

        Prometheus looks for targets 5 s after its start, whatever its configuration says: nothing beside an
        evaluation every 30 s, but too long for rules that are squeezed.
        """
        assert self._server
        config.rules(self._source, self._directory, short=self._short)
        self._server.process.send_signal(signal.SIGHUP)
        wait_until("rules loaded", lambda: self._get("rules")["groups"])

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        found: list[dict[str, Any]] = self._get(f"query?{urllib.parse.urlencode({'query': promql})}")["result"]
        return found

    def start_prometheus(self) -> None:
        """Again, on the same port and the same data."""
        flags = [f"{name}={squeeze.squeeze(value) if self._short else value}" for name, value in FLAGS.items()]
        arguments = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=prometheus-data",
            f"--web.listen-address={self._address}",
            *flags,
        ]
        self._server = Server("prometheus", arguments, self._directory, f"{self.url}/-/ready")
        self._server.wait()

    def stop_prometheus(self) -> None:
        if self._server:
            self._server.stop()

    def stop(self) -> None:
        self.stop_prometheus()
        self.pager.stop()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]
