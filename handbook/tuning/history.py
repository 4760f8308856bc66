"""A Prometheus over samples of a time that has passed: what scrapes would have kept, with the recorded series.

promtool turns the samples into blocks; Prometheus itself evaluates the recording rules over them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from handbook import tool
from handbook.monitoring import promql
from handbook.monitoring.prometheus import Prometheus
from handbook.monitoring.query_api import Labels, QueryApi
from handbook.monitoring.rules import Rule

STEP = 30.0
"""Seconds between evaluations, as monitoring/prometheus.yml sets them."""
PATIENCE = 600.0
"""Seconds for what takes two on an idle machine."""


class History:
    """A Prometheus whose blocks hold `samples` (OpenMetrics text with a time on each line) and the recorded series.

    `stop()` ends it. Raises MissingTool or FileNotFoundError without promtool or prometheus, ValueError with promtool's
    words when it does not take the samples.
    """

    def __init__(self, samples: Path, recorded: Iterable[Rule], start: float, end: float) -> None:
        self.start, self.end = start, end
        self._scratch = tempfile.TemporaryDirectory(prefix="handbook-history-")
        self._blocks = Path(self._scratch.name) / "blocks"
        self._blocks.mkdir()
        self._process: Prometheus | None = None
        try:
            self._take(samples)
            self._open()
            for level in levels([rule for rule in recorded if not rule.alert]):
                text = Path(self._scratch.name) / "recorded.om"
                text.write_text(self._evaluated(level), encoding="utf-8")
                self._take(text)
                self._open()
        except BaseException:
            self.stop()
            raise

    def _take(self, samples: Path) -> None:
        # Blocks of 2 h are promtool's default; it then reads the samples once for each of them.
        blocks = ["--max-block-duration=216h", "--quiet", "openmetrics", str(samples.absolute()), str(self._blocks)]
        said = tool.run("promtool", "tsdb", "create-blocks-from", *blocks, seconds=PATIENCE)
        if said.status:
            raise ValueError(f"promtool does not take {samples}: {said.output.strip()}")

    def _open(self) -> None:
        """Anew, so that it sees the blocks that were added."""
        if self._process:
            self._process.stop()
        self._process = Prometheus(blocks=self._blocks)
        if not self._process.wait_for("vector(1)", PATIENCE):
            raise RuntimeError(f"the Prometheus over the samples did not start within {PATIENCE:g} s")
        self.api = QueryApi(self._process.url)

    def _evaluated(self, rules: list[Rule]) -> str:
        lines = []
        for rule in rules:
            lines.append(f"# TYPE {rule.name} gauge")
            for labels, samples in self.api.over(rule.expr, self.start, self.end, STEP).items():
                series = rule.name + shown(labels)
                lines += [f"{series} {value!r} {at:.3f}" for at, value in samples]
        return "\n".join([*lines, "# EOF\n"])

    def stop(self) -> None:
        if self._process:
            self._process.stop()
        self._scratch.cleanup()


def levels(rules: list[Rule]) -> list[list[Rule]]:
    """Recording rules in the order in which they can be evaluated: each level rests on those before it only."""
    waiting = {rule.name: rule for rule in rules}
    found = []
    while waiting:
        ready = [rule for rule in waiting.values() if not promql.series_in(rule.expr) & (waiting.keys() - {rule.name})]
        if not ready:
            raise ValueError(f"recording rules rest on each other: {', '.join(sorted(waiting))}")
        found.append(ready)
        for rule in ready:
            del waiting[rule.name]
    return found


def needed(expressions: Iterable[str], rules: Iterable[Rule]) -> tuple[frozenset[str], list[Rule]]:
    """What the expressions rest on in the end: names of scraped series, and the rules that record the others."""
    by_name = {rule.name: rule for rule in rules if not rule.alert}
    scraped: set[str] = set()
    recorded: dict[str, Rule] = {}
    waiting = list(expressions)
    while waiting:
        for name in promql.series_in(waiting.pop()):
            if name not in by_name:
                scraped.add(name)
            elif name not in recorded:
                recorded[name] = by_name[name]
                waiting.append(by_name[name].expr)
    return frozenset(scraped), list(recorded.values())


def shown(labels: Labels) -> str:
    """Labels as an exposition writes them; the metric's name is left out."""
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels if name != "__name__")
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
