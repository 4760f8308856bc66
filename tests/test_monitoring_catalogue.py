"""The metric catalogue."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import promql_parser
import pytest

from handbook import facts
from handbook.monitoring import catalogue, promql, rules
from handbook.monitoring.dashboards import load_dashboard
from handbook.monitoring.renumber import panels

MONITORING = facts.ROOT / "monitoring"
RULES = rules.load_rules(MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml")
ENTRY = {"name": "a", "type": "gauge", "unit": "count", "help": "Counts a thing.", "source": "prometheus", "builds": {}}


def test_the_catalogue_is_in_order() -> None:
    assert catalogue.check_catalogue() == []


def test_there_are_53_entries_from_four_sources() -> None:
    metrics = catalogue.load().metrics
    assert Counter(metric.source for metric in metrics) == {"node": 41, "mock": 3, "prometheus": 5, "host": 4}


def test_build_0ecc756a_never_sets_the_seeds_metrics() -> None:
    states = {metric.name: metric.builds["0ecc756a"] for metric in catalogue.load().metrics if metric.builds}
    assert {name for name, state in states.items() if state in ("dead", "absent")} == {
        "governance_disbursements_total",
        "treasury_disbursement_backlog",
        "treasury_disbursement_lag_seconds",
        "treasury_balance",
        "oracle_latency_seconds",
        "mock_listener_requests_total",
        "mock_log_events_total",
        "mock_faults_injected_total",
    }


def test_the_buckets_reach_past_every_threshold() -> None:
    bounds = {metric.name: metric.last_bucket for metric in catalogue.load().metrics if metric.buckets}
    assert bounds == {"treasury_disbursement_lag_seconds": 86400, "oracle_latency_seconds": 300}


def test_rules_and_dashboards_use_no_metric_of_the_mock_s_own() -> None:
    """A live node exports none of the mock's own series."""
    queries = [rule.expr for rule in RULES]
    for name in ("treasury", "energy"):
        dashboard = load_dashboard(MONITORING / f"grafana_{name}_dashboard.json")
        queries += [target["expr"] for _, panel in panels(dashboard.data) for target in panel.get("targets", [])]
    named = {
        promql.series_of(node)
        for query in queries
        for node in promql.nodes(promql.parse(query))
        if isinstance(node, promql_parser.VectorSelector)
    }
    metrics = [catalogue.load().of_series(str(name)) for name in named]
    assert {metric.source for metric in metrics if metric} == {"node", "prometheus", "host"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "node", "appears": "start"}, "should be non-empty"),
        (
            {
                "source": "node",
                "appears": "start",
                "builds": {"0ecc756a": {"state": "live", "evidence": "run"}},
                "labels": {"provider": {"unbounded": "one each"}},
            },
            "'kept' is a dependency of 'unbounded'",
        ),
        ({"labels": {"part": {"values": ["log"], "unbounded": "anything"}}}, "is valid under each of"),
        ({"type": "summary"}, "is not one of"),
        ({"type": "counter"}, "does not end in _total"),
        ({"unit": "seconds"}, "does not end in _seconds"),
        ({"type": "histogram", "buckets": [5, 1]}, "do not rise"),
        ({"labels": {"job": {"values": ["x"]}}}, "the label job"),
    ],
)
def test_an_entry_that_is_wrong_is_found_with_its_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = tmp_path / "metrics.yml"
    file.write_text(f"# one entry\n- {json.dumps(ENTRY | change)}\n")
    found = catalogue.check_catalogue(file)
    assert [(one.where, message in one.message) for one in found] == [(f"{file}:2", True)]


def test_a_metric_listed_twice_is_found(tmp_path: Path) -> None:
    file = tmp_path / "metrics.yml"
    file.write_text(2 * f"- {json.dumps(ENTRY)}\n")
    (found,) = catalogue.check_catalogue(file)
    assert (found.where, found.message) == (f"{file}:2", "a is listed twice")
