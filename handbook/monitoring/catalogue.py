"""The metric catalogue, `snippets/metrics.yml`: what a rule, a dashboard or a page may name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from handbook import document, facts
from handbook.document import Document, Unreadable
from handbook.problem import Problem

FILE = facts.SNIPPETS / "metrics.yml"
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")
TARGET_LABELS = ("job", "instance")
"""Prometheus adds them to every series; a metric must not bring its own."""


@dataclass(frozen=True)
class Metric:
    name: str
    type: str
    """counter, gauge or histogram."""
    unit: str
    help: str
    source: str
    """node, mock, prometheus or host."""
    labels: dict[str, tuple[str, ...] | None]
    """Allowed values of each label; None where they have no bound."""
    unbounded: dict[str, str]
    """What the values of a label without a bound are."""
    kept: dict[str, int]
    """How many values of an unbounded label the contract keeps apart."""
    appears: str | None
    """start, executor tick, first event or scrape."""
    buckets: tuple[float, ...]
    """Finite upper bounds of a histogram, else empty."""
    builds: dict[str, str]
    """State by node build: live, frozen, dead or absent."""
    evidence: dict[str, str]
    """Evidence mark by node build, without brackets."""
    notes: dict[str, str]
    """What else is to say of it on a build."""
    no_panel: str | None
    """Why no panel shows it."""

    @property
    def series(self) -> tuple[str, ...]:
        """Names under which Prometheus stores it: a histogram's base name is not one of them."""
        if self.type == "histogram":
            return tuple(self.name + suffix for suffix in HISTOGRAM_SUFFIXES)
        return (self.name,)

    @property
    def last_bucket(self) -> float:
        """No quantile of the histogram can be larger."""
        return self.buckets[-1]


@dataclass(frozen=True)
class Catalogue:
    metrics: tuple[Metric, ...]

    def of_series(self, series: str) -> Metric | None:
        """The metric behind a stored series name."""
        return next((metric for metric in self.metrics if series in metric.series), None)

    @property
    def series(self) -> frozenset[str]:
        return frozenset(series for metric in self.metrics for series in metric.series)


def load(file: Path = FILE) -> Catalogue:
    """Raises Unreadable, also for what the schema does not allow."""
    found = document.read_entries(file, "name", "type", "unit", "help", "source")
    if wrong := _against_schema(found):
        raise Unreadable(wrong[0])
    return Catalogue(tuple(_metric(entry) for entry in found.data))


def _metric(entry: dict[str, Any]) -> Metric:
    labels = entry.get("labels", {})
    return Metric(
        name=entry["name"],
        type=entry["type"],
        unit=entry["unit"],
        help=entry["help"],
        source=entry["source"],
        labels={name: tuple(one["values"]) if "values" in one else None for name, one in labels.items()},
        unbounded={name: one["unbounded"] for name, one in labels.items() if "unbounded" in one},
        kept={name: one["kept"] for name, one in labels.items() if "kept" in one},
        appears=entry.get("appears"),
        buckets=tuple(float(bound) for bound in entry.get("buckets", ())),
        builds={build: one["state"] for build, one in entry["builds"].items()},
        evidence={build: one["evidence"] for build, one in entry["builds"].items()},
        notes={build: one["note"] for build, one in entry["builds"].items() if "note" in one},
        no_panel=entry.get("no_panel"),
    )


def check_catalogue(file: Path = FILE) -> list[Problem]:
    """Against its schema first; then what a schema cannot say: names, units and buckets that agree."""
    try:
        found = document.read(file)
    except Unreadable as error:
        return [error.problem]
    return _against_schema(found) or _names(found) + _numbers(found)


def _against_schema(found: Document) -> list[Problem]:
    validator = jsonschema.Draft202012Validator(facts.schema("metrics"))
    errors = sorted(validator.iter_errors(found.data), key=lambda error: error.json_path)
    return [Problem(found.where(*error.absolute_path), f"{error.json_path}: {error.message}") for error in errors]


def _names(found: Document) -> list[Problem]:
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for position, entry in enumerate(found.data):
        where = found.where(position, "name")
        name, kind = entry["name"], entry["type"]
        if name in seen:
            problems.append(Problem(where, f"{name} is listed twice", f"the other entry is at {seen[name]}"))
        seen.setdefault(name, where)
        if kind == "counter" and not name.endswith("_total"):
            problems.append(Problem(where, f"{name} is a counter and does not end in _total"))
        if entry["unit"] in ("seconds", "unix_seconds") and not re.search(r"_seconds$", name):
            problems.append(Problem(where, f"{name} is in {entry['unit']} and does not end in _seconds"))
        for label in sorted(set(entry.get("labels", {})) & {*TARGET_LABELS, "le"}):
            problems.append(Problem(where, f"{name} lists the label {label}, which Prometheus sets itself"))
    return problems


def _numbers(found: Document) -> list[Problem]:
    problems: list[Problem] = []
    for position, entry in enumerate(found.data):
        bounds = entry.get("buckets", [])
        if bounds != sorted(set(bounds)):
            where = found.where(position, "buckets")
            problems.append(Problem(where, f"buckets of {entry['name']} do not rise from one to the next"))
    return problems
