"""Where metrics are used, what a listed one lacks, and the reference that is drawn from it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from handbook import check, facts
from handbook.macros import metrics
from handbook.monitoring import catalogue, dashboards, metric_uses, rules
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.metric_uses import Use
from handbook.monitoring.rules import Rule
from handbook.node.families import FAMILIES
from handbook.pages import names

LISTED = catalogue.load()
RULES = rules.load_rules(*check.RULES)
BOARDS = [dashboards.load_dashboard(file) for file in check.DASHBOARDS]
PAGES = metric_uses.page_texts(names.pages())


def rule(name: str, expr: str, alert: bool = False) -> Rule:
    return Rule(name, alert, expr, {}, {}, "g", "x.yml:1", "x.yml:1")


def board(*queries: str) -> Dashboard:
    shown = [{"id": 100 + at, "title": "t", "targets": [{"expr": query}]} for at, query in enumerate(queries)]
    return dataclasses.replace(BOARDS[0], data={"uid": "treasury", "panels": shown})


def test_every_listed_metric_is_used_and_every_kind_of_use_is_found() -> None:
    used = metric_uses.uses(LISTED, RULES, BOARDS, PAGES)
    assert metric_uses.check_uses(used, FAMILIES, BOARDS) == []
    kinds = {use.kind for uses in used.values() for use in uses}
    assert kinds == {"recorded", "alert", "panel", "page"}
    assert sum(map(len, used.values())) >= 162
    assert len([metric for metric in LISTED.metrics if metric.no_panel]) >= 10


def test_a_metric_is_used_through_the_series_that_are_recorded_from_it() -> None:
    loaded = (
        rule("a:one", "rate(treasury_disbursement_lag_seconds_bucket[5m])"),
        rule("a:two", "a:one * 2"),
        rule("Late", "a:two > 1 and up == 1", alert=True),
        rule("Broken", "a:two >", alert=True),
    )
    used = metric_uses.uses(LISTED, loaded, [board("a:two", "treasury_balance", "(")], {})
    assert used["treasury_disbursement_lag_seconds"] == (
        Use("recorded", "a:one"),
        Use("recorded", "a:two", "a:one"),
        Use("alert", "Late", "a:two"),
        Use("panel", "treasury/100", "a:two"),
    )
    assert used["treasury_balance"] == (Use("panel", "treasury/101"),)
    assert used["up"] == (Use("alert", "Late"),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`treasury_balance`", {"treasury_balance"}),
        ("curl x | grep ^treasury_balance", {"treasury_balance"}),
        ("rate(oracle_latency_seconds_bucket[5m])", {"oracle_latency_seconds"}),
        ("treasury_balances and my_treasury_balance", set()),
        ("bring it up", set()),
        ("`up` is 0", {"up"}),
        ('up{job="x"}', {"up"}),
    ],
)
def test_a_page_names_a_metric_by_its_whole_name(text: str, found: set[str]) -> None:
    used = metric_uses.uses(LISTED, (), (), {"docs/x.md": text, metric_uses.REFERENCE: "`energy_provider_total`"})
    assert {name for name, uses in used.items() if uses} == found


ENTRY = {"name": "treasury_queue_wait_seconds", "source": "node"}
USED = (Use("panel", "treasury/100"), Use("page", "docs/operations.md"))


@pytest.mark.parametrize(
    ("entry", "uses", "messages"),
    [
        ({}, USED, []),
        ({}, USED[:1], ["is on no page"]),
        ({}, USED[1:], ["is on no panel"]),
        ({"no_panel": "treasury/100 shows as much."}, USED[1:], []),
        ({"no_panel": "treasury/100 shows as much."}, USED, ["is on a panel: take no_panel out"]),
        ({"no_panel": "treasury/999 shows as much."}, USED[1:], ["there is no panel treasury/999"]),
        ({"name": "treasury_other_wait_seconds"}, USED, ["has no family in the mock"]),
        ({"source": "mock"}, USED[1:], []),
        ({"source": "prometheus"}, USED[1:], []),
        ({"source": "host"}, (), ["is used by no rule, no panel and no page"]),
        ({"source": "host"}, (Use("alert", "X"),), []),
    ],
)
def test_what_a_metric_lacks_is_said_with_its_line(
    tmp_path: Path, entry: dict[str, Any], uses: tuple[Use, ...], messages: list[str]
) -> None:
    file = tmp_path / "metrics.yml"
    file.write_text(f"# one entry\n- {json.dumps(ENTRY | entry)}\n")
    used = {(ENTRY | entry)["name"]: uses}
    found = metric_uses.check_uses(used, ["treasury_queue_wait_seconds"], [board("up")], file)
    assert [one.where for one in found] == [f"{file}:2"] * len(messages)
    assert [message in one.message for message, one in zip(messages, found, strict=True)] == [True] * len(messages)


# The reference


def test_the_reference_has_a_section_for_each_metric_and_says_where_it_is_used() -> None:
    text = metrics.metric_reference()
    sections = dict(re.findall(r"^### (\S+) \{ #\1 \}\n\n(.*?)(?=\n##|\Z)", text, re.M | re.S))
    assert sections.keys() == {metric.name for metric in LISTED.metrics}
    lag = sections["treasury_disbursement_lag_seconds"]
    assert "| **alerts** | [`TreasuryDisbursementLagHigh`](../runbooks/treasury-disbursement-stuck.md) through" in lag
    assert "treasury/102 Execution lag (p95, p99) through `treasury:disbursement_lag:p95`" in lag
    assert "| **build `0ecc756a`** | dead `[N]`. Declared with default buckets" in lag
    assert all(metric.help in sections[metric.name] for metric in LISTED.metrics)


def test_each_link_of_the_reference_leads_to_a_file() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", metrics.metric_reference()))
    assert len(links) >= 10
    assert [link for link in links if not (facts.ROOT / "docs" / link).resolve().is_file()] == []


def test_the_tables_hold_what_is_listed() -> None:
    def rows(table: str) -> int:
        return len(table.splitlines()) - 2

    assert rows(metrics.metric_overview()) == len(LISTED.metrics)
    assert rows(metrics.exception_table()) == len(facts.load("metric_exceptions.yml"))
    labelled = [m for m in LISTED.metrics if m.labels and m.source in ("node", "mock")]
    assert rows(metrics.budget_table()) == len(labelled) >= 15
    assert "200 are kept apart, the rest is `other`" in metrics.budget_table()
