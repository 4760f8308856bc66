"""All alerts side by side: a silence, then every fault on a node or host of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from handbook import document, rules
from handbook.chain import config, squeeze
from handbook.chain.faults import ALWAYS, FAULTS, Fault
from handbook.chain.host import Host
from handbook.chain.lane import Lane, Setup
from handbook.chain.result import Result, result
from handbook.chain.stack import Stack
from handbook.chain.walk import Course, Scene, walk
from handbook.chain.watch import Watch
from handbook.problem import Problem
from handbook.rules import Rule

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
        if name not in broken and name not in ALWAYS
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
    quiet: float = QUIET,
    patience: float = PATIENCE,
    say: Say = lambda line: None,
) -> Result:
    """Walks the faults' alerts. `directory` is empty, and what is left in it are logs.

    Raises tool.MissingTool, Unreadable, NotInTime when there is nothing to walk on.
    """
    started = time.monotonic()
    known = alerts(source)
    waits = _waits(source)
    with ExitStack() as opened:
        lanes = _lanes(directory, source, faults, opened)
        made = [fault.prepare(lane) for fault, lane in zip(faults, lanes, strict=False)]
        stack = Stack(directory, source, scraped=[(lane.job, lane.instance) for lane in lanes])
        opened.callback(stack.stop)
        stack.wait_for_scrapes(len(lanes))
        stack.rule()
        watch = Watch(stack)
        opened.callback(watch.stop)
        say(f"{len(lanes)} nodes and hosts scraped; silence for {quiet:.0f} s")
        time.sleep(quiet)
        problems = [f"{name} fired on {at or 'nothing'} before any fault" for name, at in _strays(watch, set())]
        scenes = [
            Scene(known[fault.alert], fault, lane, thing, stack, watch, waits[fault.alert], patience)
            for fault, lane, thing in zip(faults, lanes, made, strict=False)
        ]
        courses = _walk(scenes, say)
        allowed = {scene.key for scene in scenes} | {
            (also, scene.lane.instance) for scene in scenes for also in scene.fault.also
        }
        problems += [
            f"{name} fired on {at or 'nothing'}, where nothing should raise it" for name, at in _strays(watch, allowed)
        ]
        if watch.failed:
            problems.append(f"Prometheus ended: {watch.failed}")
        return result(time.monotonic() - started, quiet, courses, problems)


def _lanes(directory: Path, source: Path, faults: Sequence[Fault[Any]], opened: ExitStack) -> list[Any]:
    """One per fault, and last a node with which nothing is ever wrong."""

    def lane(name: str, setup: Setup | None) -> Any:
        place = directory / name
        return Host(place, source / "node_textfile.sh") if setup is None else Lane(place, setup)

    wanted = [(fault.alert, fault.setup) for fault in faults] + [("untouched", Setup())]
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(lane, *one) for one in wanted]
        failed = []
        for future in futures:
            if future.exception():
                failed.append(future.exception())
            else:
                opened.callback(future.result().close)
    if failed and failed[0]:
        raise failed[0]
    return [future.result() for future in futures]


def _waits(source: Path) -> dict[str, float]:
    """Each alert's `for`, squeezed."""
    groups = document.read_members(source / "alert_rules.yml", groups=list).data["groups"]
    return {
        rule["alert"]: squeeze.squeezed(squeeze.seconds(str(rule.get("for", "0s"))))
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }


def _walk(scenes: list[Scene], say: Say) -> list[Course]:
    courses: dict[str, Course] = {}
    with ThreadPoolExecutor(max(len(scenes), 1)) as pool:
        for done in as_completed([pool.submit(walk, scene) for scene in scenes]):
            course = done.result()
            courses[course.alert] = course
            say(told(course))
    return [courses[scene.rule.name] for scene in scenes]


def _strays(watch: Watch, allowed: set[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(key for key in watch.fired() if key not in allowed and key[0] not in ALWAYS)


def told(course: Course) -> str:
    """One line: what came of it."""
    if course.problems:
        return f"failed  {course.alert}: " + "; ".join(course.problems)
    return (
        f"passed  {course.alert}: {course.fault}; fired after {course.fired:.1f} s, told {', '.join(course.receivers)} "
        f"after {course.told:.1f} s, opens {course.runbook}, cleared after {course.cleared:.1f} s"
    )
