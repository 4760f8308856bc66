"""`handbook check`: all that needs no node, and how much was looked at.

Pages, runbooks, monitoring, the description of the RPC.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from handbook import document, facts
from handbook.chain.run import check_faults
from handbook.monitoring import (
    alertmanager,
    catalogue,
    dashboards,
    metric_names,
    metric_uses,
    panels,
    rule_tests,
    rules,
    scrape_config,
)
from handbook.node.families import FAMILIES
from handbook.pages import claims, examples, links, mentions, names, runbook, sections, steering, vocabulary
from handbook.pages import page as pages
from handbook.problem import Problem
from handbook.rpc import coverage, errors, listed, reference, schemas
from handbook.tuning import thresholds

MONITORING = facts.ROOT / "monitoring"
RULES = [MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml"]
DASHBOARDS = [MONITORING / "grafana_treasury_dashboard.json", MONITORING / "grafana_energy_dashboard.json"]


FACTS = ("deviations", "retired", "names", "claims", "metric_exceptions", "thresholds", "panels")
"""Each in `snippets/`, with the schema of its name, in which words are joined by hyphens."""


@dataclass
class Checked:
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        looked = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{looked}: {len(self.problems) or 'no'} problem{'' if len(self.problems) == 1 else 's'}"


def check(monitoring: bool = False) -> Checked:
    """Problems as `path:line: …`, in the order RPC, pages, monitoring, runbooks; or of `monitoring` alone."""
    checked = Checked()
    if monitoring:
        _monitoring(checked)
        return checked
    _facts(checked)
    _reference(checked)
    _pages(checked)
    loaded = _monitoring(checked)
    _runbooks(checked, loaded)
    return checked


def _facts(checked: Checked) -> None:
    """What pages are made of. Raises Unreadable for the first thing in them that breaks its schema."""
    for file in sorted(facts.SNIPPETS.glob("*.yml")):
        if not isinstance((read := document.read(file)).data, list | dict) or not read.data:
            raise document.Unreadable(Problem(read.where(), "expected entries, found none"))
    for name in FACTS:
        read = document.read(facts.SNIPPETS / f"{name}.yml")
        validator = examples.validator(name.replace("_", "-"))
        for error in sorted(validator.iter_errors(read.data), key=lambda one: list(map(str, one.path))):
            where = read.where(*error.absolute_path)
            raise document.Unreadable(Problem(where, f"{error.json_path}: {error.message[:200]}"))
    checked.problems += map(str, claims.check())


def _pages(checked: Checked) -> None:
    read, known = [], vocabulary.load()
    named = Counter[str]()
    for name in ("deviations", "claims"):
        unknown, looked = mentions.check_facts(facts.SNIPPETS / f"{name}.yml", known)
        checked.problems += unknown
        named += looked
    for file in names.pages():
        try:
            page = pages.read_page(file)
        except pages.PageError as error:
            checked.problems.append(str(error))
            continue
        checked.counts.update(pages=1, blocks=len(page.blocks))
        checked.problems += names.check(page)
        unknown, looked = mentions.check(page, known)
        checked.problems += unknown
        named += looked
        read.append(page)
    dead, checked.counts["links"] = links.check(read)
    checked.problems += [*dead, *mentions.idle(named)]
    checked.counts.update({f"{kind} names": count for kind, count in named.items()})
    misplaced, checked.counts["sections"] = sections.check(read)
    checked.problems += map(str, misplaced)


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
        thresholds=len(thresholds.load()),
    )
    tests = MONITORING / "rules_test.yml"
    external = (
        document.read_members(MONITORING / "prometheus.yml", **{"global": dict})
        .data["global"]
        .get("external_labels", {})
    )
    sent = [{**external, **labels} for labels in rule_tests.fired(tests)]
    used = metric_uses.uses(metrics, loaded, boards, metric_uses.page_texts(names.pages()))
    checked.counts["uses"] = sum(map(len, used.values()))
    known = rules.known_series(loaded, metrics)
    found = [
        *catalogue.check_catalogue(),
        *metric_names.check_names(),
        *rules.check_rules(RULES, metrics),
        *rule_tests.check_rule_tests(tests, loaded),
        *scrape_config.check_scrape(MONITORING / "prometheus.yml", loaded),
        *rules.check_panels(loaded, {board.uid: frozenset(board.ids) for board in boards}),
        *alertmanager.check_alertmanager(MONITORING / "alertmanager.yml", sent),
        *dashboards.check_alerts(loaded, boards),
        *dashboards.check_dashboards(DASHBOARDS, known),
        *check_faults({rule.name: rule for rule in loaded if rule.alert}),
        *panels.check_runbooks(boards, loaded),
        *panels.check_recorded(boards, loaded),
        *thresholds.check(loaded, boards, known),
        *metric_uses.check_uses(used, FAMILIES, boards),
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
    unexplained, checked.counts["errors explained"] = errors.check()
    checked.problems += map(str, unexplained)
    missing, counts = coverage.check()
    unsound, more = schemas.check()
    checked.problems += map(str, [*missing, *listed.check(), *unsound])
    checked.counts.update(counts)
    checked.counts.update(more)
    undocumented, checked.counts["control calls"] = steering.check()
    checked.problems += map(str, undocumented)
