"""A live scrape against the catalogue, both ways: what is missing, what is unknown, what is not as it is listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from handbook.monitoring.catalogue import Catalogue, Metric
from handbook.monitoring.metric_names import SYSTEMS
from handbook.monitoring.scrape import Family, Scrape
from handbook.monitoring.scrape_limits import Limits

CONTRACT = "contract"
"""What the mock keeps: every metric of the catalogue is live."""
EXPECTED_ABSENT = ("not yet", "no executor", "never here", "not the mock")
"""Verdicts on a metric that is not there and need not be."""
EVERY_TICK = "treasury_executor_lease_released"
"""The one executor gauge that also a tick sets which ends early."""


@dataclass(frozen=True)
class Finding:
    """One metric, and the verdict on it."""

    metric: str
    verdict: str
    """there, MISSING, WRONG, OVER, UNKNOWN, one of EXPECTED_ABSENT, or other."""
    series: int
    budget: int | None
    """None for a metric that is not listed."""
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.verdict.isupper()


@dataclass(frozen=True)
class Coverage:
    build: str
    """What was expected."""
    findings: tuple[Finding, ...]
    """Of every listed metric that a node exports, and of every other one that it did export."""
    samples: int
    kept: int
    """Samples that Prometheus would store."""
    sample_limit: int
    breaches: tuple[str, ...]
    """Why Prometheus would drop the scrape."""

    @property
    def failed(self) -> bool:
        return bool(self.breaches) or any(finding.failed for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """For `--json`; its schema is `snippets/schemas/metric-coverage.json`."""
        return asdict(self) | {"failed": self.failed}


@dataclass(frozen=True)
class Expected:
    """What the caller knows of the node."""

    build: str = CONTRACT
    executor: bool = False
    """It was started with --treasury-executor, so the executor's series must be there."""
    strict: bool = False
    """Every family must be listed."""
    budgets: Mapping[str, int] | None = None
    """Series by metric, in place of the catalogue's."""


def budget(metric: Metric) -> int:
    """The most series it may have: its labels' values multiplied, and a histogram's buckets with +Inf, sum, count."""
    series = len(metric.buckets) + 3 if metric.buckets else 1
    for label, values in metric.labels.items():
        series *= metric.kept[label] + 1 if values is None else len(values)  # + 1: what is not kept counts as other
    return series


def compare(scrape: Scrape, catalogue: Catalogue, limits: Limits, expected: Expected | None = None) -> Coverage:
    expected = expected or Expected()
    listed = [metric for metric in catalogue.metrics if metric.source in ("node", "mock")]
    there = {name for name, family in scrape.families.items() if family.series}
    is_mock = any(metric.name in there for metric in listed if metric.source == "mock")
    ticked = any(m.name in there for m in listed if m.appears == "executor tick" and m.name != EVERY_TICK)
    findings = []
    for metric in listed:
        most = (expected.budgets or {}).get(metric.name, budget(metric))
        family = scrape.families.get(metric.name)
        if family and family.series:
            findings.append(_present(metric, family, most, limits, expected.build))
        else:
            verdict, note = _absent(metric, expected, is_mock, ticked)
            findings.append(Finding(metric.name, verdict, 0, most, (note,) if note else ()))
    names = {metric.name for metric in listed}
    findings += [_unlisted(family, expected) for name, family in scrape.families.items() if name not in names]
    kept = len(limits.kept(scrape))
    return Coverage(
        expected.build, tuple(findings), scrape.samples, kept, limits.samples, tuple(limits.breaches(scrape))
    )


def _absent(metric: Metric, expected: Expected, is_mock: bool, ticked: bool) -> tuple[str, str]:
    state = metric.builds.get(expected.build, "live")
    if metric.source == "mock":
        if not is_mock:
            return "not the mock", ""
    elif state in ("dead", "absent"):
        return "never here", f"{state} in build {expected.build} [{metric.evidence[expected.build]}]"
    if metric.appears == "first event":
        return "not yet", "appears with its first event"
    if metric.appears == "executor tick":
        if ticked:
            return "MISSING", "other series of the executor are there"
        if expected.executor:
            return "MISSING", "the executor has not come to the end of a tick"
        return "no executor", "appears with the executor's first complete tick"
    never = [build for build, state in metric.builds.items() if state in ("dead", "absent")]
    return "MISSING", f"build {never[0]} never sets it: for such a node add --build {never[0]}" if never else ""


def _present(metric: Metric, family: Family, most: int, limits: Limits, build: str) -> Finding:
    series = len(family.series)
    wrong: list[str] = []
    if metric.source == "node" and metric.builds.get(build) in ("dead", "absent"):
        wrong.append(f"listed as {metric.builds[build]} in build {build}")
    if family.type != metric.type:
        wrong.append(f"is a {family.type}, listed as {metric.type}")
    wrong += _labels(metric, family)
    wrong += [f"{name} stands there twice with the same labels" for name in family.twice]
    if wrong:
        return Finding(metric.name, "WRONG", series, most, tuple(wrong))
    if series > most:
        if all(limits.drops(name) for name in metric.series):
            return Finding(metric.name, "there", series, most, ("over its budget; prometheus.yml drops it",))
        return Finding(metric.name, "OVER", series, most, ("more series than its budget",))
    return Finding(metric.name, "there", series, most)


def _labels(metric: Metric, family: Family) -> list[str]:
    """Names and values that the catalogue does not have, or the scrape lacks; each said once."""
    said: dict[str, None] = {}
    bounds: set[str] = set()
    for series in family.series:
        labels = dict(series.labels)
        if metric.buckets and series.name.endswith("_bucket"):
            bounds.add(_number(labels.pop("le", "")))
        for name in sorted(labels.keys() - metric.labels.keys()):
            said[f"has the label {name}, which is not listed"] = None
        for name, values in metric.labels.items():
            if name not in labels:
                said[f"lacks the label {name}"] = None
            elif values is not None and labels[name] not in values:
                said[f'{name}="{labels[name]}" is not among the listed values'] = None
    if metric.buckets and family.type == "histogram" and bounds != {*map(_number, metric.buckets), "inf"}:
        said["its buckets are not those listed"] = None
    return _few(list(said))


def _number(text: str | float) -> str:
    """1, 1.0 and "1.0" alike; what is no number, as it stands."""
    try:
        return repr(float(text))
    except ValueError:
        return str(text)


def _few(said: list[str]) -> list[str]:
    """A label that grows would say it a thousand times."""
    return said if len(said) <= 3 else [*said[:3], f"and {len(said) - 3} more"]


def _unlisted(family: Family, expected: Expected) -> Finding:
    series = len(family.series)
    if family.name.split("_")[0] in SYSTEMS:
        return Finding(family.name, "UNKNOWN", series, None, ("not in snippets/metrics.yml, and of a system it lists",))
    if expected.strict:
        return Finding(family.name, "UNKNOWN", series, None, ("not in snippets/metrics.yml",))
    return Finding(family.name, "other", series, None)
