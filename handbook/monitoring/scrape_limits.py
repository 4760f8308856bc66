"""The limits of a scrape in `monitoring/prometheus.yml`: beyond one of them Prometheus drops the whole scrape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handbook import document, facts
from handbook.document import Document, Unreadable
from handbook.monitoring.scrape import Scrape, Series
from handbook.problem import Problem

FILE = facts.ROOT / "monitoring" / "prometheus.yml"
JOB = "the-block-node"
TARGET_LABELS = {"job": JOB, "instance": "127.0.0.1:9898"}
"""Prometheus adds them before it counts labels; the address stands for any."""
SIZE = re.compile(r"(\d+)(B|KB|MB|GB)?")
UNITS = {None: 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


@dataclass(frozen=True)
class Limits:
    """0 is no limit, as in Prometheus."""

    samples: int = 0
    """After `dropped` has been applied."""
    body: int = 0
    """Bytes, uncompressed; a body of exactly as many is one too many."""
    labels: int = 0
    label_name: int = 0
    """Bytes."""
    label_value: int = 0
    """Bytes; the metric's name is a label value too."""
    dropped: tuple[re.Pattern[str], ...] = field(default=())
    """Names of series that metric_relabel_configs drops before Prometheus counts."""

    def drops(self, name: str) -> bool:
        return any(pattern.fullmatch(name) for pattern in self.dropped)

    def kept(self, scrape: Scrape) -> list[Series]:
        """What Prometheus would store."""
        return [one for family in scrape.families.values() for one in family.series if not self.drops(one.name)]

    def breaches(self, scrape: Scrape) -> list[str]:
        """What Prometheus would drop the scrape for, in its own words first; empty when it would take it."""
        kept = self.kept(scrape)
        said = []
        if 0 < self.body <= scrape.size:
            said.append(f"body size limit exceeded: {scrape.size} bytes, fewer than {self.body} allowed")
        if 0 < self.samples < len(kept):
            said.append(f"sample limit exceeded: {len(kept)} samples, {self.samples} allowed")
        for series in kept:
            if found := self._label(series):
                said.append(found)
                break  # one is enough to lose the scrape, and there may be thousands
        return said

    def _label(self, series: Series) -> str:
        labels = {"__name__": series.name, **TARGET_LABELS, **series.labels}
        if 0 < self.labels < len(labels):
            return f"label_limit exceeded: {series.name} has {len(labels)} labels, {self.labels} allowed"
        for name, value in labels.items():
            if 0 < self.label_name < (length := len(name.encode())):
                what = f"{series.name} has a label name of {length} bytes"
                return f"label_name_length_limit exceeded: {what}, {self.label_name} allowed"
            if 0 < self.label_value < (length := len(value.encode())):
                what = f"{series.name} has a value of {name} of {length} bytes"
                return f"label_value_length_limit exceeded: {what}, {self.label_value} allowed"
        return ""


def load(file: Path = FILE, job: str = JOB) -> Limits:
    """Raises Unreadable for a file that is no Prometheus configuration, has no such job, or drops in another way."""
    found = document.read_members(file, scrape_configs=list)
    jobs = {one.get("job_name"): position for position, one in enumerate(found.data["scrape_configs"])}
    if job not in jobs:
        hint = f"jobs: {', '.join(map(str, jobs))}"
        raise Unreadable(Problem(found.where("scrape_configs"), f"no job {job}", hint))
    config: dict[str, Any] = found.data["scrape_configs"][jobs[job]]
    place = ("scrape_configs", jobs[job])
    return Limits(
        samples=int(config.get("sample_limit", 0)),
        body=_bytes(found, place, str(config.get("body_size_limit", 0))),
        labels=int(config.get("label_limit", 0)),
        label_name=int(config.get("label_name_length_limit", 0)),
        label_value=int(config.get("label_value_length_limit", 0)),
        dropped=tuple(_dropped(found, place, config)),
    )


def _bytes(found: Document, place: tuple[str | int, ...], text: str) -> int:
    match = SIZE.fullmatch(text)
    if not match:
        where = found.where(*place, "body_size_limit")
        raise Unreadable(Problem(where, f"body_size_limit {text!r} is no size", "such as 4MB"))
    return int(match[1]) * UNITS[match[2]]


def _dropped(found: Document, place: tuple[str | int, ...], config: dict[str, Any]) -> list[re.Pattern[str]]:
    """Only rules that drop by name can be followed without Prometheus; no other is passed over in silence."""
    patterns = []
    for position, rule in enumerate(config.get("metric_relabel_configs") or []):
        by_name = rule.get("source_labels") == ["__name__"] and rule.get("action") == "drop"
        if not by_name or set(rule) - {"source_labels", "action", "regex"}:
            where = found.where(*place, "metric_relabel_configs", position)
            hint = "source_labels: [__name__], a regex and action: drop"
            raise Unreadable(Problem(where, "cannot tell what this rule leaves of a scrape", hint))
        patterns.append(re.compile(str(rule.get("regex", ".*"))))
    return patterns
