"""What an alert would have done over a time that has passed: Prometheus' own rule for `for` and `keep_firing_for`.

Prometheus is asked at which evaluations the expression had a result; this module counts on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Firing:
    """One page: from the evaluation at which the alert fired to the one at which it was resolved, in Unix seconds."""

    start: float
    end: float


def firings(active: Iterable[float], start: float, end: float, step: float, hold: float, keep: float) -> list[Firing]:
    """The firings of one series of an alert that is evaluated every `step` seconds from `start` to `end`.

    `active` are the evaluations at which the expression had this series. `hold` is the rule's `for`, `keep` its
    `keep_firing_for`. A firing that goes on at `end` ends there. Proved against promtool in tests/test_replay.py.
    """
    there = {round((at - start) / step) for at in active}
    found: list[Firing] = []
    since: float | None = None  # pending or firing
    fired: float | None = None
    absent: float | None = None  # kept firing since
    for number in range(round((end - start) / step) + 1):
        at = start + number * step
        if number in there:
            since, absent = at if since is None else since, None
        elif fired is not None and keep:
            absent = at if absent is None else absent
            if at - absent >= keep:
                found.append(Firing(fired, at))
                since = fired = absent = None
        else:
            if fired is not None:
                found.append(Firing(fired, at))
            since = fired = absent = None
        if since is not None and fired is None and at - since >= hold:
            fired = at
    if fired is not None:
        found.append(Firing(fired, end))
    return found
