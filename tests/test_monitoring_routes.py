"""Who is told of which alert: every rule with the labels it has when it fires, against what people have agreed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from handbook.chain.config import MONITORING
from handbook.chain.walk import TOLD, receivers
from handbook.monitoring import alertmanager, rule_tests
from handbook.monitoring.rules import SEVERITIES, Rule, load_rules

CONFIG = MONITORING / "alertmanager.yml"
RULES = {rule.name: rule for rule in load_rules(MONITORING / "alert_rules.yml") if rule.alert}
PROMETHEUS = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
EXTERNAL: dict[str, str] = PROMETHEUS["global"]["external_labels"]
JOBS: list[str] = [scrape["job_name"] for scrape in PROMETHEUS["scrape_configs"]]
FIRED = rule_tests.fired(MONITORING / "rules_test.yml")


def label_sets(rule: Rule) -> list[dict[str, str]]:
    """On each job, as a rule that keeps the target's labels has them; without one; and as its unit tests saw it."""
    static = {**EXTERNAL, **rule.labels, "alertname": rule.name}
    seen = [{**EXTERNAL, **labels} for labels in FIRED if labels["alertname"] == rule.name]
    return [static, *({**static, "job": job, "instance": "127.0.0.1:9898"} for job in JOBS), *seen]


def test_the_matrix_is_whole() -> None:
    assert (len(RULES), len(JOBS)) == (24, 2)
    assert {rule.labels["severity"] for rule in RULES.values()} == set(SEVERITIES) == TOLD.keys()
    assert all(len(label_sets(rule)) > 3 for rule in RULES.values())


@pytest.mark.parametrize("name", RULES)
def test_each_alert_is_routed_to_its_people_whatever_its_target(name: str) -> None:
    routed = [alertmanager.routes(CONFIG, labels) for labels in label_sets(RULES[name])]
    assert {frozenset(one) for one in routed} == {receivers(RULES[name])}
    assert all(len(one) == len(set(one)) for one in routed)


def test_somebody_is_paged_before_the_team_is_told() -> None:
    assert alertmanager.routes(CONFIG, {"severity": "critical"}) == ("pagerduty", "treasury-team")


def test_a_route_that_keeps_an_alert_from_its_people_is_found(tmp_path: Path) -> None:
    text = CONFIG.read_text()
    file = tmp_path / "alertmanager.yml"
    file.write_text(text.replace("      continue: true\n", ""))
    assert file.read_text() != text
    lost = [name for name, rule in RULES.items() if set(alertmanager.routes(file, rule.labels)) != receivers(rule)]
    critical = [name for name, rule in RULES.items() if rule.labels["severity"] == "critical"]
    assert [name for name in lost if name in critical] == critical
