"""Servers with nobody to scrape: the alerts that fire for want of a target, and the watchdog's beat.

The beat must arrive and repeat, stop when Prometheus does, and come back with it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from handbook.chain import link, walk
from handbook.chain.fault import Fault
from handbook.chain.process import NotInTime, wait_until
from handbook.chain.stack import Stack
from handbook.chain.walk import Course, Scene, receivers
from handbook.chain.watch import Watch
from handbook.monitoring.rules import Rule

STOPPED = "Prometheus is stopped"
ABSENT = re.compile(r'absent\(\w+\{job="([^"]+)"')
BEATS = 3
"""As many show that it repeats, and how often."""


class Nobody:
    """In the place of a node: the alert has no instance."""

    instance = ""
    flows: tuple[()] = ()


def absent(known: Mapping[str, Rule]) -> dict[str, str]:
    """The alerts that also fire when a job has no target, each with the job."""
    return {name: found[1] for name, rule in known.items() if (found := ABSENT.search(rule.expr))}


def untargeted(job: str) -> str:
    """The fault in words."""
    return f"{job} has no target"


def walks(
    known: Mapping[str, Rule],
    watchdog: Rule,
    directory: Path,
    source: Path,
    scraped: Mapping[str, str],
    patience: float,
) -> list[Course]:
    """One course per absent alert, and last the watchdog's. `scraped` are HOST:PORT of a good target, by job.

    Raises what Stack raises.
    """
    directory.mkdir(parents=True)
    stack = Stack(directory, source)
    watch = Watch(stack)
    scenes = [
        Scene(known[name], _fault(name, job, stack, scraped[job]), Nobody(), None, stack, watch, patience)
        for name, job in absent(known).items()
    ]
    beat = Course(watchdog.name, watchdog.labels["severity"], STOPPED, "")
    try:
        with ThreadPoolExecutor(len(scenes) + 1) as pool:
            courses = list(pool.map(walk.walk, scenes))
        stack.rule()
        watch.stop()
        _follow(beat, watchdog, stack, patience)
    except NotInTime as error:
        beat.problems.append(str(error))
    finally:
        watch.stop()
        stack.stop()
    return [*courses, beat]


def _fault(name: str, job: str, stack: Stack, address: str) -> Fault[Any]:
    """There from the start: it is the rules that come."""
    return Fault(
        name,
        untargeted(job),
        f'ALERTS{{alertname="{name}"}}',
        lambda nobody, made: stack.rule(),
        lambda nobody, made: stack.scrape(job, address),
    )


def _follow(course: Course, rule: Rule, stack: Stack, patience: float) -> None:
    """`fired` is when the beat ended after Prometheus had, `told` when that could be noticed.

    `cleared` is when it was back after a start.
    """

    def beats() -> list[float]:
        return [
            message.at
            for message in stack.pager.recorder.messages("webhook")
            if any(alert["labels"]["alertname"] == rule.name for alert in message.alerts("firing"))
        ]

    wait_until(f"{BEATS} beats of {rule.name}", lambda: len(beats()) >= BEATS, patience)
    messages = stack.pager.recorder.messages("webhook")
    course.receivers = sorted({message.receiver for message in messages if rule.name in message.text})
    if course.receivers != sorted(receivers(rule)):
        course.problems.append(f"told to {', '.join(course.receivers)}, not to {', '.join(sorted(receivers(rule)))}")
    try:
        course.runbook = link.opens(rule.annotations.get("runbook_url", ""))
    except ValueError as error:
        course.problems.append(str(error))
    silence = 2 * max(later - sooner for sooner, later in pairwise(beats())) + 1
    stopped = time.monotonic()
    stack.stop_prometheus()
    wait_until(f"no beat for {silence:.0f} s", lambda: time.monotonic() - beats()[-1] > silence, patience)
    course.fired = max(beats()[-1] - stopped, 0.0)
    course.told = time.monotonic() - stopped
    started, before = time.monotonic(), len(beats())
    stack.start_prometheus()
    wait_until("a beat after the start", lambda: len(beats()) > before, patience)
    course.cleared = beats()[before] - started
