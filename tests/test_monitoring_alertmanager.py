"""Who is told of which alert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from handbook import facts, tool
from handbook.monitoring import alertmanager, rule_tests
from handbook.problem import Problem

MONITORING = facts.ROOT / "monitoring"
CONFIG = MONITORING / "alertmanager.yml"
CASES = Path(__file__).parent / "cases" / "monitoring"
EXTERNAL: dict[str, str] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["global"]["external_labels"]
ALERTS = [{**EXTERNAL, **labels} for labels in rule_tests.fired(MONITORING / "rules_test.yml")]


def at(name: str, line: int) -> str:
    return f"tests/cases/monitoring/{name}:{line}"


def test_the_configuration_is_in_order() -> None:
    assert alertmanager.check_alertmanager(CONFIG, ALERTS) == []


def test_every_alert_has_real_labels_from_its_unit_test() -> None:
    assert (len(ALERTS), len({labels["alertname"] for labels in ALERTS})) == (32, 24)


@pytest.mark.parametrize("labels", ALERTS, ids=lambda labels: f"{labels['alertname']}-{labels['severity']}")
def test_each_alert_is_routed_by_its_severity_and_the_watchdog_to_its_own_receiver(labels: dict[str, str]) -> None:
    if labels["alertname"] == alertmanager.HEARTBEAT:
        assert alertmanager.routes(CONFIG, labels) == ("watchdog",)
        return
    expected = {"critical": ("pagerduty", "treasury-team"), "warning": ("slack",), "info": ("treasury-team",)}
    assert alertmanager.routes(CONFIG, labels) == expected[labels["severity"]]


def test_a_severity_nobody_foresaw_reaches_the_team() -> None:
    assert alertmanager.routes(CONFIG, {"severity": "page"}) == ("treasury-team",)


def test_grouping_and_timing_are_the_seeds() -> None:
    route: dict[str, Any] = yaml.safe_load(CONFIG.read_text())["route"]
    timing = [route[key] for key in ("group_by", "group_wait", "group_interval", "repeat_interval", "receiver")]
    assert timing == [["alertname", "cluster"], "10s", "10s", "12h", "treasury-team"]


def test_no_secret_and_no_placeholder_stands_in_the_file() -> None:
    text = CONFIG.read_text()
    assert [word for word in ("${", "http://hooks", "https://hooks", "service_key") if word in text] == []
    assert [text.count("api_url_file:"), text.count("routing_key_file:")] == [2, 1]


def test_the_seeds_configuration_fails_for_each_of_its_mistakes() -> None:
    found = alertmanager.check_alertmanager(CASES / "alertmanager_seed.yml", ALERTS)
    name = "alertmanager_seed.yml"
    no_expansion = "Alertmanager expands no environment variable"
    assert found == [
        Problem(
            at(name, 3),
            f"slack_api_url: ${{SLACK_WEBHOOK_URL}}: {no_expansion}",
            "put it into a file: slack_api_url_file",
        ),
        Problem(at(name, 12), "match is retired", "write matchers, a list"),
        Problem(at(name, 15), "match is retired", "write matchers, a list"),
        Problem(
            at(name, 22),
            f"service_key: ${{PAGERDUTY_SERVICE_KEY}}: {no_expansion}",
            "put it into a file: routing_key_file",
        ),
        Problem(at(name, 10), "route to the undefined receiver treasury-team", "defined: pagerduty, slack"),
    ]


def test_a_receiver_that_tells_nobody_is_found_and_one_without_a_route() -> None:
    name = "alertmanager_silent.yml"
    assert tool.run("amtool", "check-config", str(CASES / name)).status == 0
    assert alertmanager.check_alertmanager(CASES / name, ALERTS) == [
        Problem(at(name, 14), "receiver nobody has no integration: it tells nobody"),
        Problem(at(name, 15), "no route leads to the receiver unrouted"),
    ]


def test_a_broken_template_and_an_inhibition_over_a_label_nobody_sets_are_found() -> None:
    name = "alertmanager_template.yml"
    assert tool.run("amtool", "check-config", str(CASES / name)).status == 0
    title, text, watchdog, inhibition = alertmanager.check_alertmanager(CASES / name, ALERTS)
    assert (title.where, title.hint) == (at(name, 11), "the running Alertmanager would drop the notification")
    assert 'unexpected "}" in operand' in title.message
    assert text == Problem(at(name, 12), "text: {{ .CommonLabels.nonesuch }} renders to nothing")
    assert watchdog == Problem(at(name, 1), "Watchdog goes to team", "a webhook of its own, and nobody's screen")
    warnings = sorted({one["alertname"] for one in ALERTS if one["severity"] == "warning"})
    assert (len(warnings), inhibition.where) == (15, at(name, 6))
    assert inhibition.message == f"label datacentre is not set by {', '.join(warnings)}"
    assert inhibition.hint == "two alerts that lack it count as equal"


def test_a_severity_that_ends_in_a_program_reaches_nobody() -> None:
    name = "alertmanager_machine.yml"
    assert tool.run("amtool", "check-config", str(CASES / name)).status == 0
    found = alertmanager.check_alertmanager(CASES / name, ALERTS)
    assert found[0] == Problem(at(name, 1), "an alert with {'severity': 'warning'} reaches nobody", "people read: team")
    unheard = {one["alertname"] for one in ALERTS if one["severity"] == "warning"}
    assert len(found) >= 1 + len(unheard)
    assert all(any(name in problem.message for problem in found) for name in unheard)


def test_the_watchdog_repeats_within_the_minute_and_ends_on_no_screen() -> None:
    (route,) = [one for one in yaml.safe_load(CONFIG.read_text())["route"]["routes"] if one["receiver"] == "watchdog"]
    assert [route[key] for key in ("group_wait", "group_interval", "repeat_interval")] == ["0s", "30s", "1m"]
    assert "continue" not in route


def test_a_misspelt_key_is_reported_with_amtools_line(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIG.read_text().replace("group_wait:", "group_wiat:", 1))
    (found,) = alertmanager.check_alertmanager(file, ALERTS)
    line = 1 + file.read_text().splitlines().index("  group_wiat: 10s")
    assert found == Problem(f"{file}:{line}", "amtool rejects it: field group_wiat not found in type config.plain")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("handbook.title", "[FIRING 1] NodeMetricsMissing (critical) on main"),
        ("handbook.runbook", "https://handbook.the-block.example/runbooks/node-metrics-missing/"),
        (
            "handbook.text",
            "Summary of NodeMetricsMissing\nWhat was measured, with its unit.\n"
            "Runbook: https://handbook.the-block.example/runbooks/node-metrics-missing/\nDashboard: treasury/100",
        ),
    ],
)
def test_the_notification_says_what_where_and_what_to_do(template: str, expected: str) -> None:
    labels = next(one for one in ALERTS if one["alertname"] == "NodeMetricsMissing")
    rendered = alertmanager.render(CONFIG, f'{{{{ template "{template}" . }}}}', alertmanager.notification(labels))
    assert rendered.strip() == expected


def test_a_missing_program_is_one_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    hint = "apt-get install --no-install-recommends prometheus-alertmanager"
    missing = [Problem("amtool", "this program is not installed", hint)]
    assert alertmanager.check_alertmanager(CONFIG, ALERTS) == missing
