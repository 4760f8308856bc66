"""`handbook check`: all that needs no node, and how much was looked at.

Pages, runbooks, monitoring, the description of the RPC.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from handbook import (
    alertmanager,
    catalogue,
    coverage,
    dashboards,
    document,
    facts,
    links,
    listed,
    metric_names,
    names,
    reference,
    rule_tests,
    rules,
    runbook,
    steering,
)
from handbook import page as pages

MONITORING = facts.ROOT / "monitoring"
RULES = [MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml"]
DASHBOARDS = [MONITORING / "grafana_treasury_dashboard.json", MONITORING / "grafana_energy_dashboard.json"]


@dataclass
class Checked:
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        looked = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{looked}: {len(self.problems) or 'no'} problem{'' if len(self.problems) == 1 else 's'}"


def check() -> Checked:
    """Problems as `path:line: …`, in the order pages, monitoring, runbooks, RPC."""
    checked = Checked()
    _pages(checked)
    loaded = _monitoring(checked)
    _runbooks(checked, loaded)
    _reference(checked)
    return checked


def _pages(checked: Checked) -> None:
    read = []
    for file in names.pages():
        try:
            page = pages.read_page(file)
        except pages.PageError as error:
            checked.problems.append(str(error))
            continue
        checked.counts.update(pages=1, blocks=len(page.blocks))
        checked.problems += names.check(page)
        read.append(page)
    dead, checked.counts["links"] = links.check(read)
    checked.problems += dead


def _runbooks(checked: Checked, loaded: tuple[rules.Rule, ...]) -> None:
    books = runbook.all_runbooks()
    checked.counts["runbooks"] = len(books)
    for book in books:
        checked.problems += runbook.check(book.page)
    receivers = document.read_members(MONITORING / "alertmanager.yml", receivers=list, route=dict).data["receivers"]
    drills = pages.read_page(facts.ROOT / "docs" / "CHAOS_TESTING.md").headings
    checked.problems += runbook.check_links(
        books, loaded, {one["name"] for one in receivers}, {slug for _, _, slug, _ in drills}
    )


def _monitoring(checked: Checked) -> tuple[rules.Rule, ...]:
    metrics = catalogue.load()
    loaded = rules.load_rules(*RULES)
    boards = [dashboards.load_dashboard(file) for file in DASHBOARDS]
    alerts = [rule for rule in loaded if rule.alert]
    checked.counts.update(
        metrics=len(metrics.metrics),
        recorded=len(loaded) - len(alerts),
        alerts=len(alerts),
        panels=sum(len(board.ids) for board in boards),
    )
    tests = MONITORING / "rules_test.yml"
    external = (
        document.read_members(MONITORING / "prometheus.yml", **{"global": dict})
        .data["global"]
        .get("external_labels", {})
    )
    sent = [{**external, **labels} for labels in rule_tests.fired(tests)]
    found = [
        *catalogue.check_catalogue(),
        *metric_names.check_names(),
        *rules.check_rules(RULES, metrics),
        *rule_tests.check_rule_tests(tests, loaded),
        *rules.check_panels(loaded, {board.uid: frozenset(board.ids) for board in boards}),
        *alertmanager.check_alertmanager(MONITORING / "alertmanager.yml", sent),
        *dashboards.check_dashboards(DASHBOARDS, rules.known_series(loaded, metrics)),
    ]
    checked.problems += [str(problem) for problem in found]
    return loaded


def _reference(checked: Checked) -> None:
    found = reference.check()
    checked.problems += map(str, found)
    methods = reference.methods().values()
    checked.counts.update(
        methods=len(methods),
        params=sum(len(method["params"]) for method in methods),
        errors=sum(len(method["x-errors"]) for method in methods),
    )
    missing, counts = coverage.check()
    checked.problems += map(str, [*missing, *listed.check()])
    checked.counts.update(counts)
    undocumented, checked.counts["control calls"] = steering.check()
    checked.problems += map(str, undocumented)
