"""Names of metrics: `<system>_<subsystem>_<metric>_<unit>`, and the node's own exceptions."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from handbook import facts
from handbook.monitoring import metric_names

TODAY = datetime.date(2026, 11, 25)
METRIC = {"name": "treasury_queue_wait_seconds", "type": "histogram", "unit": "seconds", "source": "node"}
EXCEPTION = {
    "name": "treasury_wait",
    "breaks": ["subsystem", "unit"],
    "builds": [],
    "since": "2026-11-25",
    "reason": "The build exports this name.",
}


def test_the_names_keep_the_rules_or_are_excepted() -> None:
    assert metric_names.check_names() == []


def test_thirteen_names_of_the_node_are_excepted() -> None:
    entries = facts.load("metric_exceptions.yml")
    assert len(entries) == 13
    assert sum("total" in entry["breaks"] for entry in entries) == 4, "gauges that end in _total"
    assert [entry["name"] for entry in entries if not entry["builds"]] == ["oracle_latency_seconds"]


@pytest.mark.parametrize(
    ("name", "kind", "unit", "rules"),
    [
        ("treasury_executor_last_tick_seconds", "gauge", "unix_seconds", ()),
        ("treasury_executor_result_total", "counter", "count", ()),
        ("treasury_circuit_breaker_state", "gauge", "state", ()),
        ("energy_market_fee_block_total", "counter", "block", ()),
        ("tresury_executor_result_total", "counter", "count", ("system",)),
        ("treasury_results_total", "counter", "count", ("subsystem",)),
        ("treasury_total", "counter", "count", ("subsystem",)),
        ("treasury_queue_wait", "histogram", "seconds", ("unit",)),
        ("treasury_queue_wait_ms", "histogram", "seconds", ("unit",)),
        ("energy_market_fee_total_block", "counter", "block", ("total",)),
        ("energy_market_fee_total", "counter", "block", ("unit",)),
        ("treasury_executor_results", "counter", "count", ("total",)),
        ("energy_open_disputes_total", "gauge", "count", ("total",)),
        ("wait", "gauge", "seconds", ("system", "subsystem", "unit")),
    ],
)
def test_each_rule_finds_the_name_that_breaks_it(name: str, kind: str, unit: str, rules: tuple[str, ...]) -> None:
    assert metric_names.broken(name, kind, unit) == rules


def found(tmp_path: Path, metrics: list[dict[str, Any]], exceptions: list[dict[str, Any]]) -> list[str]:
    """What is wrong, without the path's directory; each entry stands on a line of its own."""
    listed, excepted = tmp_path / "metrics.yml", tmp_path / "exceptions.yml"
    listed.write_text("".join(f"- {json.dumps(one)}\n" for one in metrics))
    excepted.write_text("".join(f"- {json.dumps(one)}\n" for one in exceptions) or "[]\n")
    problems = metric_names.check_names(listed, excepted, TODAY)
    return [f"{one.where.removeprefix(f'{tmp_path}/')}: {one.message}" for one in problems]


def test_a_name_that_breaks_a_rule_is_found_with_its_line_and_an_exception_lets_it_pass(tmp_path: Path) -> None:
    wait = METRIC | {"name": "treasury_wait"}
    assert found(tmp_path, [METRIC, wait], []) == [
        f"metrics.yml:2: treasury_wait breaks the rule subsystem: {metric_names.RULES['subsystem']}",
        f"metrics.yml:2: treasury_wait breaks the rule unit: {metric_names.RULES['unit']}",
    ]
    assert found(tmp_path, [METRIC, wait], [EXCEPTION]) == []


def test_metrics_of_prometheus_and_of_the_host_have_names_of_their_own(tmp_path: Path) -> None:
    others = [{"name": "up", "type": "gauge", "unit": "boolean", "source": source} for source in ("prometheus", "host")]
    assert found(tmp_path, others, []) == []


@pytest.mark.parametrize(
    ("exceptions", "message"),
    [
        (
            [EXCEPTION | {"name": "treasury_queue_wait_seconds", "breaks": ["unit"]}],
            "the exception is no longer needed",
        ),
        ([EXCEPTION, EXCEPTION], "treasury_wait is excepted twice"),
        ([EXCEPTION, EXCEPTION | {"name": "treasury_gone"}], "treasury_gone is no metric of the node"),
        ([EXCEPTION, EXCEPTION | {"name": "mock_wait", "breaks": ["unit", "subsystem"]}], "is the mock's own"),
        ([EXCEPTION | {"since": "2026-11-26"}], "2026-11-26 has not come yet"),
        ([EXCEPTION | {"breaks": ["subsystem", "unit", "total"]}], "treasury_wait does not break the rule total"),
        ([EXCEPTION | {"breaks": ["subsystem"]}], "treasury_wait breaks the rule unit"),
        ([EXCEPTION | {"reason": "so"}], "$[0].reason"),
        ([EXCEPTION | {"breaks": ["taste"]}], "'taste' is not one of"),
        ([{"name": "treasury_wait"}], "'breaks' is a required property"),
    ],
)
def test_an_exception_that_excepts_nothing_is_found(
    tmp_path: Path, exceptions: list[dict[str, Any]], message: str
) -> None:
    metrics = [METRIC, METRIC | {"name": "treasury_wait"}, METRIC | {"name": "mock_wait", "source": "mock"}]
    said = found(tmp_path, metrics, exceptions)
    assert [one for one in said if message in one], said


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "open.yml").write_text("- {name: [\n")
    (problem,) = metric_names.check_names(exceptions=tmp_path / "open.yml")
    assert problem.where == f"{tmp_path}/open.yml:2"
    (problem,) = metric_names.check_names(metrics=tmp_path / "none.yml")
    assert "No such file" in problem.message
