"""A real Prometheus on loopback: one that scrapes a node every second, or one that holds a past."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

from handbook import facts, tool
from handbook.monitoring.query_api import QueryApi, QueryFailed
from handbook.ports import free_port

RULES = facts.ROOT / "monitoring" / "prometheus_recording_rules.yml"
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: the-block-node
    static_configs: [{{ targets: ["{target}"] }}]
"""
FOREVER = "100y"
"""Retention of a Prometheus over blocks whose samples are dated long ago."""


class Prometheus:
    """Started by the constructor; `stop()` ends it. Raises FileNotFoundError when it is not installed.

    `metrics` is the URL to scrape; None scrapes nothing. `blocks` is a directory of blocks that it starts with and
    writes into; without one it starts empty, and what it stored goes when it stops.
    """

    def __init__(self, metrics: str | None = None, blocks: Path | None = None) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise FileNotFoundError("prometheus is not installed\n  hint: apt-get install prometheus")
        self._scratch = tempfile.TemporaryDirectory(prefix="handbook-prometheus-")
        directory = Path(self._scratch.name)
        (directory / "prometheus.yml").write_text(_config(metrics))
        rules = RULES.read_text().replace("interval: 30s", "interval: 1s")  # the rules, only sooner
        (directory / "rules.yml").write_text(rules)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._api = QueryApi(self.url, timeout=5)
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={blocks or directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    *([f"--storage.tsdb.retention.time={FOREVER}"] if blocks else ()),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, query: str, seconds: float = 15.0) -> list[Any]:
        """The result of `query` as soon as it has one; empty when it has none within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := self._api.now(query):
                    return list(found)
            except QueryFailed:
                pass  # not up yet
            time.sleep(0.25)
        return []

    def stop(self) -> None:
        tool.end(self._process)
        self._scratch.cleanup()


def _config(metrics: str | None) -> str:
    return CONFIG.format(target=urllib.parse.urlsplit(metrics).netloc) if metrics else ""
