"""A window of data for each threshold: how its values lie, and which pages a number would have sent.

Prometheus evaluates every expression; what is counted here is in `replay`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from handbook.monitoring.query_api import Labels, QueryApi
from handbook.monitoring.rules import Rule
from handbook.problem import Problem
from handbook.tuning import replay
from handbook.tuning.replay import Firing
from handbook.tuning.thresholds import Threshold, with_value

STEP = 30.0
"""Seconds between evaluations, as monitoring/prometheus.yml sets them."""
SHARE = 0.8
"""Of the values, on the good side of the percentile that the plan asks for."""
FEWEST = 100
"""Values below which a percentile is not worth the name."""
POINTS = {"min": 0.0, "p50": 0.5, "p80": 0.8, "p95": 0.95, "p99": 0.99, "max": 1.0}
REACH = 0.98
"""Share of the window that the data must span."""


@dataclass(frozen=True)
class Replay:
    """What the alert would have done with `value` over the window."""

    value: float
    firings: tuple[Firing, ...]
    window: float
    series: int = 1

    @property
    def pages(self) -> int:
        return len(self.firings)

    @property
    def share(self) -> float:
        """Part of the window in which it fired, of all its series the mean."""
        return sum(one.end - one.start for one in self.firings) / self.window / max(self.series, 1)


@dataclass(frozen=True)
class Measured:
    threshold: Threshold
    values: dict[Labels, list[tuple[float, float]]]
    """Finite samples of the measure, by series."""
    points: dict[str, float]
    """The values' percentiles, by the names of POINTS."""
    eightieth: Replay
    """At the 80th percentile; where low values are the bad ones, at the 20th."""
    now: Replay
    proposed: Replay | None

    @property
    def count(self) -> int:
        return sum(map(len, self.values.values()))


@dataclass(frozen=True)
class Window:
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def check_window(api: QueryApi, window: Window) -> list[Problem]:
    """Why the Prometheus at `api` cannot have the window: shorter retention, or a first sample that is younger."""
    days = window.seconds / 86_400
    kept = api.retention()
    if kept is not None and kept < window.seconds:
        message = f"it keeps {kept / 86_400:g} days, the window has {days:g}"
        return [Problem(api.url, message, "--storage.tsdb.retention.time, or a shorter --window")]
    seen = api.over("sum(up)", window.start, window.end, max(STEP, window.seconds / 1000))
    times = [at for samples in seen.values() for at, _ in samples]
    if not times:
        return [Problem(api.url, "it scraped nothing in the window", "the window ends now, or at --until")]
    if max(times) - min(times) < REACH * window.seconds - 300:
        held = (max(times) - min(times)) / 86_400
        message = f"its data span {held:.1f} of the window's {days:g} days"
        return [Problem(api.url, message, f"wait until the window is full, or take --window {max(held, 0.1):.1f}d")]
    return []


def measure(
    api: QueryApi,
    thresholds: Iterable[Threshold],
    rules: tuple[Rule, ...],
    window: Window,
    proposed: Callable[[Threshold, dict[str, float]], float | None] = lambda _, __: None,
) -> tuple[list[Measured], list[Problem]]:
    """One entry per threshold that has data, and a problem for each that has none, or too little.

    `proposed` gives the number to try besides today's; it is told the percentiles.
    """
    measured, problems = [], []
    for one in thresholds:
        values = _finite(api.over(one.measure, window.start, window.end, STEP))
        ordered = sorted(value for samples in values.values() for _, value in samples)
        if len(ordered) < FEWEST:
            problems.append(_too_few(one, len(ordered)))
            continue
        points = {name: quantile(ordered, share) for name, share in POINTS.items()}
        eightieth = rounded(quantile(ordered, 1 - SHARE if one.low else SHARE))
        wanted = proposed(one, points)
        measured.append(
            Measured(
                one,
                values,
                points,
                replayed(api, one, rules, window, eightieth),
                replayed(api, one, rules, window, one.value),
                None if wanted is None else replayed(api, one, rules, window, wanted),
            )
        )
    return measured, problems


def replayed(api: QueryApi, threshold: Threshold, rules: tuple[Rule, ...], window: Window, value: float) -> Replay:
    """The week again, with `value` in the alert's own expression."""
    alert = next(rule for rule in rules if rule.alert and rule.name == threshold.alert)
    active = api.over(with_value(threshold, rules, value), window.start, window.end, STEP)
    firings = [
        one
        for samples in active.values()
        for one in replay.firings(
            (at for at, _ in samples), window.start, window.end, STEP, hold=alert.hold, keep=alert.keep
        )
    ]
    return Replay(value, tuple(sorted(firings, key=lambda one: one.start)), window.seconds, len(active))


def quantile(ordered: list[float], share: float) -> float:
    """Between neighbours in proportion, as Prometheus' quantile() does."""
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def rounded(value: float) -> float:
    """To three figures: a threshold is read by people."""
    return float(f"{value:.3g}")


def _finite(found: dict[Labels, list[tuple[float, float]]]) -> dict[Labels, list[tuple[float, float]]]:
    """Without what is no number: a quantile of nothing, a share of nothing."""
    kept = {labels: [(at, v) for at, v in samples if math.isfinite(v)] for labels, samples in found.items()}
    return {labels: samples for labels, samples in kept.items() if samples}


def _too_few(one: Threshold, count: int) -> Problem:
    if count:
        hint = "a longer --window, or a week with more events"
        return Problem(one.where, f"{one.alert}: {count} values of `{one.measure}`, fewer than {FEWEST}", hint)
    hint = "snippets/metrics.yml says when its series appear, and on which build they never do"
    return Problem(one.where, f"{one.alert}: no series `{one.measure}` in the window", hint)
