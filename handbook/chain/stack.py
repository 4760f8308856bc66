"""Recorder, Alertmanager and Prometheus on loopback, and what they say."""

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
from handbook.chain.process import Server, wait_until
from handbook.chain.recorder import Message, Recorder
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

    `scraped` are job and HOST:PORT of each target. `texts` are the kinds of text that each receiver sends, beside the
    webhook. `short=False` leaves the shipped durations. Raises tool.MissingTool, NotInTime, Unreadable.
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
        self.recorder = Recorder(ports.recorder, told)
        self._servers: list[Server] = []
        try:
            at = f"127.0.0.1:{ports.alertmanager or free_port()}"
            self.texts = config.alertmanager(source, directory, self.recorder, short=short)
            self.jobs = config.prometheus(source, directory, at, short=short)
            for job, address in scraped:
                self.scrape(job, address)
            self.alertmanager = self._start_alertmanager(at)
            self.prometheus = self._start_prometheus(f"127.0.0.1:{ports.prometheus or free_port()}", short)
        except BaseException:
            self.stop()
            raise

    def scrape(self, job: str, address: str) -> None:
        """Has Prometheus scrape HOST:PORT as a target of the job, within 5 s. Raises KeyError for no such job."""
        if job not in self.jobs:
            raise KeyError(f"prometheus.yml has no job {job}; it has {', '.join(self.jobs)}")
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
        config.rules(self._source, self._directory, short=self._short)
        self._servers[-1].process.send_signal(signal.SIGHUP)
        wait_until("rules loaded", lambda: _get(f"{self.prometheus}/api/v1/rules")["data"]["groups"])

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        answer = _get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': promql})}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def active(self) -> list[dict[str, Any]]:
        """The alerts that Alertmanager holds, muted ones too."""
        found: list[dict[str, Any]] = _get(f"{self.alertmanager}/api/v2/alerts")
        return found

    def send(self, alerts: list[dict[str, Any]]) -> None:
        """Gives Alertmanager alerts that no Prometheus sent."""
        request = urllib.request.Request(
            f"{self.alertmanager}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def stop_prometheus(self) -> None:
        self._servers.pop().stop()

    def stop(self) -> None:
        while self._servers:
            self._servers.pop().stop()
        self.recorder.stop()

    def _start_alertmanager(self, at: str) -> str:
        arguments = [
            "--config.file=alertmanager.yml",
            "--storage.path=alertmanager-data",
            f"--web.listen-address={at}",
            "--cluster.listen-address=",
        ]
        return self._start("prometheus-alertmanager", arguments, at)

    def _start_prometheus(self, at: str, short: bool) -> str:
        flags = [f"{name}={squeeze.squeeze(value) if short else value}" for name, value in FLAGS.items()]
        arguments = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=prometheus-data",
            f"--web.listen-address={at}",
            *flags,
        ]
        return self._start("prometheus", arguments, at)

    def _start(self, name: str, arguments: list[str], at: str) -> str:
        url = f"http://{at}"
        server = Server(name, arguments, self._directory, f"{url}/-/ready")
        self._servers.append(server)
        server.wait()
        return url


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
