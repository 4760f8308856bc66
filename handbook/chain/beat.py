"""The watchdog's way: its beat arrives, stops when Prometheus does, and comes back with it."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from handbook.chain import link
from handbook.chain.process import NotInTime, wait_until
from handbook.chain.stack import Stack
from handbook.chain.walk import Course, receivers
from handbook.rules import Rule

BEATS = 3
"""As many show that it repeats, and how often."""


def walk(rule: Rule, directory: Path, source: Path, patience: float) -> Course:
    """On servers of its own, with nobody to scrape. `fired` is how long the beat goes on after the end of Prometheus,

    `told` when the silence could be noticed, `cleared` when the beat was back after a start. Raises what Stack raises.
    """
    course = Course(rule.name, rule.labels["severity"], "Prometheus is stopped", "")
    directory.mkdir(parents=True)
    stack = Stack(directory, source)
    try:
        stack.rule()
        _follow(course, rule, stack, patience)
    except NotInTime as error:
        course.problems.append(str(error))
    finally:
        stack.stop()
    return course


def _follow(course: Course, rule: Rule, stack: Stack, patience: float) -> None:
    def beats() -> list[float]:
        return [
            message.at
            for message in stack.pager.recorder.messages("webhook")
            if any(alert["labels"]["alertname"] == rule.name for alert in message.alerts("firing"))
        ]

    wait_until(f"{BEATS} beats of {rule.name}", lambda: len(beats()) >= BEATS, patience)
    messages = stack.pager.recorder.messages("webhook")
    course.receivers = sorted({m.receiver for m in messages if rule.name in m.text})
    if course.receivers != sorted(receivers(rule)):
        course.problems.append(f"told to {', '.join(course.receivers)}, not to {', '.join(sorted(receivers(rule)))}")
    try:
        course.runbook = link.opens(rule.annotations.get("runbook_url", ""))
    except ValueError as error:
        course.problems.append(str(error))
    seen = beats()
    silence = 2 * max(later - sooner for sooner, later in pairwise(seen)) + 1
    stopped = time.monotonic()
    course.shown = 0.0
    stack.stop_prometheus()
    wait_until(f"no beat for {silence:.0f} s", lambda: time.monotonic() - beats()[-1] > silence, patience)
    course.fired = max(beats()[-1] - stopped, 0.0)
    course.told = time.monotonic() - stopped
    started, before = time.monotonic(), len(beats())
    stack.start_prometheus()
    wait_until("a beat after the start", lambda: len(beats()) > before, patience)
    course.cleared = beats()[before] - started
