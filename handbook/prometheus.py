"""A real Prometheus on loopback that scrapes one node every second, for queries that must return data."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from handbook import facts
from handbook.ports import free_port

RULES = facts.ROOT / "monitoring" / "prometheus_recording_rules.yml"
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: the-block-node
    static_configs: [{{ targets: ["{target}"] }}]
"""


class Prometheus:
    """Started by the constructor; `stop()` ends it. Raises FileNotFoundError when it is not installed."""

    def __init__(self, metrics: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise FileNotFoundError("prometheus is not installed\n  hint: apt-get install prometheus")
        self._scratch = tempfile.TemporaryDirectory(prefix="handbook-prometheus-")
        directory = Path(self._scratch.name)
        target = urllib.parse.urlsplit(metrics).netloc
        (directory / "prometheus.yml").write_text(CONFIG.format(target=target))
        rules = RULES.read_text().replace("interval: 30s", "interval: 1s")  # the rules, only sooner
        (directory / "rules.yml").write_text(rules)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, query: str, seconds: float = 15.0) -> list[Any]:
        """The result of `query` as soon as it has one; empty when it has none within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := self._query(query):
                    return found
            except (urllib.error.URLError, ConnectionError):
                pass  # not up yet
            time.sleep(0.25)
        return []

    def _query(self, query: str) -> list[Any]:
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            document = json.loads(answer.read())
        result: list[Any] = document["data"]["result"]
        return result

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()
