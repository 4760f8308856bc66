"""One alert's way: broken, seen, told, mended, told again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from handbook.chain import link, squeeze
from handbook.chain.fault import Fault
from handbook.chain.process import NotInTime, wait_until
from handbook.chain.recorder import Message
from handbook.chain.stack import Stack
from handbook.chain.watch import Key, Watch
from handbook.control import Refused, Unreachable
from handbook.monitoring.rules import Rule

TOLD = {
    "critical": frozenset({"pagerduty", "treasury-team"}),
    "warning": frozenset({"slack"}),
    "info": frozenset({"treasury-team"}),
}
"""Who must hear of an alert, by severity. Not read from alertmanager.yml, which is what is tried."""
BY_NAME = {"Watchdog": frozenset({"watchdog"})}
"""Where the severity does not say it."""
EARLY = 0.5
"""Seconds by which an alert may seem early: times of evaluations are rounded to their interval."""


def receivers(rule: Rule) -> frozenset[str]:
    """Who must hear of the alert; nobody for a severity that there is not."""
    return BY_NAME.get(rule.name) or TOLD.get(rule.labels.get("severity", ""), frozenset())


@dataclass
class Course:
    """Seconds from the fault, or from its end for `cleared`; `receivers` are all that were told.

    What went wrong stands in `problems`, in the order of the steps; the steps after it are not there.
    """

    alert: str
    severity: str
    fault: str
    instance: str
    shown: float | None = None
    fired: float | None = None
    told: float | None = None
    cleared: float | None = None
    receivers: list[str] = field(default_factory=list)
    runbook: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scene:
    """What one fault is tried with. `made` is what its `prepare` returned; `patience` in seconds, per step."""

    rule: Rule
    fault: Fault[Any]
    lane: Any
    made: Any
    stack: Stack
    watch: Watch
    patience: float

    @property
    def key(self) -> Key:
        return self.rule.name, self.lane.instance


def walk(scene: Scene) -> Course:
    """Breaks, looks, mends."""
    lane = scene.lane
    course = Course(scene.rule.name, scene.rule.labels["severity"], scene.fault.what, lane.instance)
    try:
        _break(course, scene)
        _mend(course, scene)
    except (NotInTime, Refused, Unreachable, OSError, RuntimeError) as error:
        course.problems.append(str(error))
    if extra := _told(scene.stack, scene.key, "firing").keys() - receivers(scene.rule):
        course.problems.append(f"told to {', '.join(sorted(extra))} too")
    course.problems += [f"what goes on beside it ended: {flow.failed}" for flow in lane.flows if flow.failed]
    return course


def _break(course: Course, scene: Scene) -> None:
    stack, watch, key, patience = scene.stack, scene.watch, scene.key, scene.patience
    shows = scene.fault.shows.replace("$node", f'instance="{scene.lane.instance}"')
    wait_until(f"nothing of it in {shows} before", lambda: not stack.query(shows), patience, 0.3)
    broken = time.monotonic()
    scene.fault.inject(scene.lane, scene.made)
    wait_until(f"the metric, {shows}", lambda: stack.query(shows), patience, 0.3)
    course.shown = time.monotonic() - broken
    wait_until(f"{course.alert} firing in Prometheus", lambda: key in watch.fired(), patience, 0.1)
    course.fired = watch.fired()[key].first - broken
    shortest = squeeze.squeezed(squeeze.seconds(scene.rule.waits or "0s"))
    if course.fired < shortest - EARLY:
        course.problems.append(f"fired after {course.fired:.1f} s; its for takes {shortest:.1f} s")
    expected = receivers(scene.rule)
    what = f"{course.alert} told to {', '.join(sorted(expected))}"
    wait_until(what, lambda: expected <= _told(stack, key, "firing").keys(), patience, 0.1)
    told = _told(stack, key, "firing")
    course.told = max(message.at for name, message in told.items() if name in expected) - broken
    _read(course, scene, told)
    if missing := scene.fault.mock - _struck(scene):
        course.problems.append(f"the mock node shows no fault {', '.join(sorted(missing))}")


def _mend(course: Course, scene: Scene) -> None:
    stack, watch, key, patience = scene.stack, scene.watch, scene.key, scene.patience
    mended = time.monotonic()
    scene.fault.mend(scene.lane, scene.made)
    what = f"{course.alert} gone in Prometheus"
    wait_until(what, lambda: watch.looked > mended and not watch.firing(key), patience, 0.1)
    course.receivers = sorted(_told(stack, key, "firing"))
    told = frozenset(course.receivers)
    what = f"{course.alert} told as resolved"
    wait_until(what, lambda: told <= _told(stack, key, "resolved").keys(), patience, 0.1)
    course.cleared = max(message.at for message in _told(stack, key, "resolved").values()) - mended


def _told(stack: Stack, key: Key, status: str) -> dict[str, Message]:
    """The first webhook with that alert and status, by receiver."""
    found: dict[str, Message] = {}
    for message in stack.pager.recorder.messages("webhook"):
        if any(_key(alert) == key for alert in message.alerts(status)):
            found.setdefault(message.receiver, message)
    return found


def _key(alert: dict[str, Any]) -> Key:
    return alert["labels"]["alertname"], alert["labels"].get("instance", "")


def _read(course: Course, scene: Scene, told: dict[str, Message]) -> None:
    """What the people see: the link opens, and Slack and PagerDuty have it in a text that is whole."""
    alert = next(one for message in told.values() for one in message.alerts("firing") if _key(one) == scene.key)
    url = alert["annotations"].get("runbook_url", "")
    try:
        course.runbook = link.opens(url)
    except ValueError as error:
        course.problems.append(str(error))
    for receiver in sorted(told):
        for kind in scene.stack.pager.texts.get(receiver, ()):
            what = f"{kind} told by {receiver} of {course.alert}"
            try:
                wait_until(what, partial(_texts, scene, kind, receiver, alert), scene.patience)
            except NotInTime as late:
                course.problems.append(str(late))


def _texts(scene: Scene, kind: str, receiver: str, alert: dict[str, Any]) -> list[str]:
    """The texts that say what is wrong and where to read on, without a hole in them."""
    needed = (alert["labels"]["alertname"], alert["annotations"]["summary"], alert["annotations"]["runbook_url"])
    return [
        message.text
        for message in scene.stack.pager.recorder.messages(kind)
        if message.receiver == receiver
        and all(one in message.text for one in needed)
        and "<no value>" not in message.text
        and "{{" not in message.text
    ]


def _struck(scene: Scene) -> set[str]:
    """The mock node's faults that its metrics and its journal both hold."""
    if not scene.fault.mock:
        return set()
    samples = scene.stack.query(f'mock_faults_injected_total{{instance="{scene.lane.instance}"}} > 0')
    struck: set[str] = {sample["metric"]["fault"] for sample in samples} & scene.lane.faults_struck()
    return struck
