"""All alerts side by side: a silence, then every fault on a node or host of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from handbook.chain import bare, config
from handbook.chain.fault import Fault
from handbook.chain.faults import FAULTS, WATCHDOG
from handbook.chain.ground import UNTOUCHED, Ground
from handbook.chain.result import Result, result
from handbook.chain.walk import Course, Scene, walk
from handbook.chain.watch import Key, Watch
from handbook.monitoring import rules
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

PATIENCE = 60.0
"""Seconds for a step: the longest takes 17 on an idle machine."""
QUIET = 17.0
"""Seconds of silence: longer than the longest `for`, and than a window of an hour, squeezed."""

Say = Callable[[str], None]


def alerts(source: Path = config.MONITORING) -> dict[str, Rule]:
    """The alerts of alert_rules.yml by name. Raises Unreadable."""
    return {rule.name: rule for rule in rules.load_rules(source / "alert_rules.yml") if rule.alert}


def check_faults(known: dict[str, Rule], faults: Sequence[Fault[Any]] = FAULTS) -> list[Problem]:
    """An alert without a fault, and a fault for no alert."""
    broken = [fault.alert for fault in faults]
    problems = [
        Problem(rule.where, f"{name}: no fault raises it", "add one to handbook/chain/faults.py")
        for name, rule in known.items()
        if name not in broken and name != WATCHDOG
    ]
    problems += [
        Problem("handbook/chain/faults.py", f"a fault for {name}, which is no alert", "remove it")
        for name in broken
        if name not in known
    ]
    return problems + [
        Problem("handbook/chain/faults.py", f"{broken.count(name)} faults for {name}", "one each")
        for name in dict.fromkeys(broken)
        if broken.count(name) > 1
    ]


def run(
    directory: Path,
    source: Path = config.MONITORING,
    faults: Sequence[Fault[Any]] = FAULTS,
    *,
    watchdog: bool = True,
    quiet: float = QUIET,
    patience: float = PATIENCE,
    say: Say = lambda line: None,
) -> Result:
    """Walks the faults' alerts, and the watchdog's. `directory` is empty, and what is left in it are logs.

    Raises tool.MissingTool, Unreadable, NotInTime when there is nothing to walk on.
    """
    started = time.monotonic()
    known = alerts(source)
    with ExitStack() as opened:
        ground = Ground(directory, source, faults)
        opened.callback(ground.close)
        stack, watch = ground.stack, ground.watch
        say(f"{len(ground.lanes)} nodes and hosts scraped; silence for {quiet:.0f} s")
        pool = opened.enter_context(ThreadPoolExecutor(len(faults) + 1))
        bare_ones = pool.submit(_bare, known, directory, source, ground, patience) if watchdog else None
        time.sleep(quiet)
        problems = [f"{_on(key)} before any fault" for key in _strays(watch, set())]
        scenes = [
            Scene(
                known[fault.alert], fault, ground.lanes[fault.alert], ground.made[fault.alert], stack, watch, patience
            )
            for fault in faults
        ]
        courses = list(pool.map(partial(_one, say), scenes))
        if bare_ones:
            for course in bare_ones.result():
                courses.append(course)
                say(told(course))
        allowed = {(name, scene.lane.instance) for scene in scenes for name in (scene.rule.name, *scene.fault.also)}
        problems += [f"{_on(key)}, where nothing should raise it" for key in _strays(watch, allowed)]
        if watch.failed:
            problems.append(f"Prometheus ended: {watch.failed}")
        return result(time.monotonic() - started, quiet, courses, problems)


def _one(say: Say, scene: Scene) -> Course:
    course = walk(scene)
    say(told(course))
    return course


def _bare(known: dict[str, Rule], directory: Path, source: Path, ground: Ground, patience: float) -> list[Course]:
    good = {lane.job: lane.instance for name, lane in ground.lanes.items() if name in UNTOUCHED}
    return bare.walks(known, known[WATCHDOG], directory / "bare", source, good, patience)


def _strays(watch: Watch, allowed: set[Key]) -> list[Key]:
    return sorted(key for key in watch.fired() if key not in allowed and key[0] != WATCHDOG)


def _on(key: Key) -> str:
    return f"{key[0]} fired on {key[1] or 'nothing'}"


def told(course: Course) -> str:
    """One line: what came of it."""
    if course.problems:
        return f"failed  {course.alert}: " + "; ".join(course.problems)
    return (
        f"passed  {course.alert}: {course.fault}; fired after {course.fired:.1f} s, told {', '.join(course.receivers)} "
        f"after {course.told:.1f} s, opens {course.runbook}, cleared after {course.cleared:.1f} s"
    )
