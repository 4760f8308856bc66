"""Prometheus' configuration, and whether it and the alerts speak of the same things."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook import facts
from handbook.monitoring import rules, scrape_config
from handbook.problem import Problem

MONITORING = facts.ROOT / "monitoring"
CONFIG = MONITORING / "prometheus.yml"
LOADED = rules.load_rules(MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml")
EXPR = {rule.name: rule.expr_where for rule in LOADED}


def changed(tmp_path: Path, before: str, after: str) -> list[Problem]:
    for file in MONITORING.glob("*.yml"):
        (tmp_path / file.name).write_text(file.read_text())
    text = CONFIG.read_text()
    assert text.count(before) == 1
    (tmp_path / "prometheus.yml").write_text(text.replace(before, after))
    return scrape_config.check_scrape(tmp_path / "prometheus.yml", LOADED)


def test_the_configuration_is_in_order() -> None:
    assert scrape_config.check_scrape(CONFIG, LOADED) == []


@pytest.mark.parametrize(
    ("before", "after", "alert", "message", "hint"),
    [
        (
            "sample_limit: 5000",
            "sample_limit: 6000",
            "NodeSeriesNearLimit",
            "NodeSeriesNearLimit warns at 4000, and sample_limit of the-block-node is 6000",
            "80% of it is 4800",
        ),
        (
            "scrape_timeout: 10s",
            "scrape_timeout: 5s",
            "NodeScrapeSlow",
            "NodeScrapeSlow warns at 5 s, and a scrape of the-block-node ends at 5 s",
            "a scrape that was given up took no longer than that",
        ),
        (
            "job_name: the-block-host",
            "job_name: the-block-hosts",
            "BackupTooOld",
            'BackupTooOld: nothing is scraped as job="the-block-host"',
            "jobs: the-block-hosts, the-block-node",
        ),
    ],
)
def test_a_limit_or_a_job_of_which_an_alert_says_otherwise_is_found(
    tmp_path: Path, before: str, after: str, alert: str, message: str, hint: str
) -> None:
    assert changed(tmp_path, before, after) == [Problem(EXPR[alert], message, hint)]


def test_a_rule_file_that_is_not_there_is_found(tmp_path: Path) -> None:
    (found,) = changed(tmp_path, "- alert_rules.yml", "- alerts_*.yml")
    assert found == Problem(f"{tmp_path}/prometheus.yml:12", "rule_files: no file matches alerts_*.yml")


def test_what_promtool_rejects_is_found(tmp_path: Path) -> None:
    (found,) = changed(tmp_path, "scrape_interval: 15s", "scrape_interval: fifteen")
    assert found.where == f"{tmp_path}/prometheus.yml"
    assert found.message.startswith("promtool rejects it: ")


def test_an_alert_that_compares_with_no_number_is_found() -> None:
    near = next(rule for rule in LOADED if rule.name == "NodeSeriesNearLimit")
    vague = rules.Rule(**{**vars(near), "expr": 'scrape_samples_scraped{job="the-block-node"}'})
    (found,) = scrape_config.check_scrape(CONFIG, (vague,))
    assert found == Problem(near.expr_where, "NodeSeriesNearLimit: expected one job and one number to compare with")


def test_a_missing_program_is_one_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    hint = "apt-get install --no-install-recommends prometheus"
    assert scrape_config.check_scrape(CONFIG, LOADED) == [Problem("promtool", "this program is not installed", hint)]
