"""Chains with a broken link: each is found."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from handbook.chain import bare, config
from handbook.chain.faults import FAULTS
from handbook.chain.result import Result
from handbook.chain.run import alerts, run

BROKEN = {
    # the series is misspelt: never fires
    "TreasuryCounterShort": ("alert_rules.yml", "expr: treasury_balance <", "expr: treasury_balances <"),
    # nobody is paged
    "NodeMetricsMissing": (
        "alertmanager.yml",
        "['severity=\"critical\"']\n      receiver: pagerduty",
        "['severity=\"critical\"', alertname!=NodeMetricsMissing]\n      receiver: pagerduty",
    ),
    # the page has another name
    "TreasuryDisbursementStuck": (
        "alert_rules.yml",
        "runbooks/treasury-disbursement-stuck/\n          dashboard: treasury/101",
        "runbooks/treasury-stuck/\n          dashboard: treasury/101",
    ),
    # Alertmanager drops the text, and sends the webhook
    "TreasuryDisbursementLagHigh": (
        "notifications.tmpl",
        "{{ .Annotations.summary }}",
        '{{ if eq .Labels.alertname "TreasuryDisbursementLagHigh" }}{{ .Labels.x.y }}{{ end }}'
        "{{ .Annotations.summary }}",
    ),
    # fires without a cause
    "TreasurySeriesMissing": ("alert_rules.yml", "== 1 unless on (job, instance) treasury_balance", "== 1"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """One chain with a broken link for each of five alerts."""
    source = tmp_path_factory.mktemp("broken") / "monitoring"
    copytree(config.MONITORING, source)
    for name, old, new in BROKEN.values():
        text = (source / name).read_text()
        assert text.count(old) >= 1, (name, old)
        (source / name).write_text(text.replace(old, new))
    faults = [fault for fault in FAULTS if fault.alert in BROKEN]
    return run(tmp_path_factory.mktemp("chain"), source, faults, watchdog=False, quiet=8, patience=15)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("TreasuryCounterShort", "TreasuryCounterShort firing in Prometheus: not within 15 s"),
        ("NodeMetricsMissing", "NodeMetricsMissing told to pagerduty, treasury-team: not within 15 s"),
        (
            "TreasuryDisbursementStuck",
            "https://handbook.the-block.example/runbooks/treasury-stuck/: runbooks/ has no page for it",
        ),
        ("TreasuryDisbursementLagHigh", "slack told by slack of TreasuryDisbursementLagHigh: not within 15 s"),
    ],
)
def test_a_broken_link_of_the_chain_is_found(broken: Result, name: str, found: str) -> None:
    (course,) = [course for course in broken.courses if course.alert == name]
    assert found in course.problems
    assert not broken.passed


def test_an_alert_without_a_cause_is_found(broken: Result) -> None:
    before = [problem for problem in broken.problems if problem.endswith("before any fault")]
    assert len(before) == len(BROKEN) + 1  # on every node
    assert all(problem.startswith("TreasurySeriesMissing fired on 127.0.0.1:") for problem in before)


def test_a_watchdog_that_does_not_repeat_its_beat_is_found(tmp_path: Path) -> None:
    source = tmp_path / "monitoring"
    copytree(config.MONITORING, source)
    file = source / "alertmanager.yml"
    once = file.read_text().replace("repeat_interval: 1m", "repeat_interval: 12h")
    assert once != file.read_text()
    file.write_text(once)
    watchdog = alerts(source)["Watchdog"]
    (course,) = bare.walks({}, watchdog, tmp_path / "bare", source, {}, patience=12)
    assert course.problems == ["3 beats of Watchdog: not within 12 s"]
