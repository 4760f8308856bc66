"""From the metric to the pager: a fault for every alert, on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from handbook.chain import config, squeeze
from handbook.chain.faults import FAULTS, WATCHDOG
from handbook.chain.result import Result, write
from handbook.chain.run import QUIET, alerts, check_faults, run
from handbook.chain.walk import receivers

ALERTS = alerts()
NAMES = [fault.alert for fault in FAULTS]
COUNT = 24
"""Alerts, the watchdog among them."""


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """All alerts, once. What was measured goes onto the site."""
    found = run(tmp_path_factory.mktemp("chain"))
    write(found)
    return found


def test_every_alert_has_its_fault_and_every_fault_its_alert() -> None:
    assert check_faults(ALERTS) == []
    assert len({*NAMES, WATCHDOG}) == len(ALERTS) == COUNT


def test_an_alert_without_a_fault_and_a_fault_for_no_alert_are_found() -> None:
    some, twice = FAULTS[1:], (*FAULTS, FAULTS[0])
    (missing,) = check_faults(ALERTS, some)
    assert (missing.where, missing.message) == (ALERTS[NAMES[0]].where, f"{NAMES[0]}: no fault raises it")
    known = {name: rule for name, rule in ALERTS.items() if name != NAMES[0]}
    assert [problem.message for problem in check_faults(known)] == [f"a fault for {NAMES[0]}, which is no alert"]
    assert [problem.message for problem in check_faults(ALERTS, twice)] == [f"2 faults for {NAMES[0]}"]


WALKS = [
    *((fault.alert, fault.what) for fault in FAULTS),
    ("NodeMetricsMissing", "the-block-node has no target"),
    ("BackupTooOld", "the-block-host has no target"),
    (WATCHDOG, "Prometheus is stopped"),
]


@pytest.mark.parametrize(("name", "what"), WALKS, ids=["-".join(walk) for walk in WALKS])
def test_the_fault_reaches_the_pager_and_goes_again(walked: Result, name: str, what: str) -> None:
    (course,) = [course for course in walked.courses if (course.alert, course.fault) == (name, what)]
    assert course.problems == []
    assert set(course.receivers) == receivers(ALERTS[name])
    anchor = f"#{ALERTS[name].anchor}" if ALERTS[name].anchor else ""
    assert course.runbook == f"runbooks/{ALERTS[name].slug}.md{anchor}"
    assert None not in (course.fired, course.told, course.cleared)


def test_every_walk_was_walked(walked: Result) -> None:
    assert {(course.alert, course.fault) for course in walked.courses} == set(WALKS)
    assert [course.shown is None for course in walked.courses].count(True) == 1  # the watchdog's


def test_nothing_else_fired_before_the_faults_or_elsewhere(walked: Result) -> None:
    assert walked.problems == ()
    longest = max(squeeze.squeezed(squeeze.seconds(wait)) for wait in ("1h", *_waits()))
    assert longest < QUIET == walked.quiet


def _waits() -> Iterator[str]:
    for group in yaml.safe_load((config.MONITORING / "alert_rules.yml").read_text())["groups"]:
        yield from (str(rule.get("for", "0s")) for rule in group["rules"])
