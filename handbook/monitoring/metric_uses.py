"""Where each metric is used: rules, alerts, panels, pages; and what a listed metric still lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import promql_parser

from handbook import document, facts
from handbook.monitoring import promql
from handbook.monitoring.catalogue import FILE, Catalogue
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.renumber import panels
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

REFERENCE = "docs/metrics.md"
"""Names every metric, so it says nothing of one."""
WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
QUERIED = re.compile(r"`([a-z]+)`|\b([a-z]+)\{")
"""A name without an underscore, such as `up`, is a word of English unless it stands like this."""
PANEL = re.compile(r"\b[a-z]+/\d+\b")
"""A panel as an alert's annotation names it."""


@dataclass(frozen=True)
class Use:
    kind: str
    """recorded, alert, panel or page."""
    name: str
    """Of the series or the alert; `treasury/105` of a panel; path of a page."""
    via: str = ""
    """The recorded series that stands between the metric and this use."""


def uses(
    catalogue: Catalogue, rules: Iterable[Rule], boards: Iterable[Dashboard], pages: Mapping[str, str]
) -> dict[str, tuple[Use, ...]]:
    """By metric, in the order recorded, alerts, panels, pages. `pages` is the text by path."""
    found: dict[str, dict[Use, None]] = {metric.name: {} for metric in catalogue.metrics}
    behind: dict[str, frozenset[str]] = {}
    """Metrics behind a recorded series."""

    def note(kind: str, name: str, query: str) -> None:
        for series in _series(query):
            if metric := catalogue.of_series(series):
                found[metric.name][Use(kind, name)] = None
            for one in behind.get(series, ()):
                found[one][Use(kind, name, series)] = None

    loaded = tuple(rules)
    for rule in loaded:
        if not rule.alert:
            note("recorded", rule.name, rule.expr)
            known = {Use("recorded", rule.name)}
            direct = frozenset(name for name, one in found.items() if known & set(one))
            behind[rule.name] = behind.get(rule.name, frozenset()) | direct | _through(rule.expr, behind)
    for rule in loaded:
        if rule.alert:
            note("alert", rule.name, rule.expr)
    for board in boards:
        for _, panel in panels(board.data):
            for target in panel.get("targets") or []:
                note("panel", f"{board.uid}/{panel.get('id')}", str(target.get("expr", "")))
    for path, text in pages.items():
        if path != REFERENCE:
            words = set(WORD.findall(text))
            queried = {one or other for one, other in QUERIED.findall(text)}
            for metric in catalogue.metrics:
                if {metric.name, *metric.series} & (words if "_" in metric.name else queried):
                    found[metric.name][Use("page", path)] = None
    return {name: tuple(one) for name, one in found.items()}


def _series(query: str) -> set[str]:
    try:
        expression = promql.parse(query)
    except ValueError:
        return set()  # said by the check of the file it stands in
    selectors = (node for node in promql.nodes(expression) if isinstance(node, promql_parser.VectorSelector))
    return {name for one in selectors if (name := promql.series_of(one))}


def _through(query: str, behind: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset(metric for series in _series(query) for metric in behind.get(series, ()))


def check_uses(
    used: Mapping[str, tuple[Use, ...]], families: Iterable[str], boards: Iterable[Dashboard], file: Path = FILE
) -> list[Problem]:
    """What a listed metric lacks: a panel or the reason why not, a page that says what it is for, its family in the
    mock. `families` are the mock's."""
    found = document.read_entries(file, "name", "source")
    known = set(families)
    shown = {f"{board.uid}/{number}" for board in boards for number in board.ids}
    problems = []
    for position, entry in enumerate(found.data):
        name, source = entry["name"], entry["source"]
        where = found.where(position, "name")
        kinds = {use.kind for use in used.get(name, ())}
        if source in ("node", "mock") and name not in known:
            problems.append(Problem(where, f"{name} has no family in the mock", "handbook/node/families.py"))
        if source == "node" and "panel" not in kinds and "no_panel" not in entry:
            hint = "monitoring/grafana_*_dashboard.json, or the reason as no_panel:"
            problems.append(Problem(where, f"{name} is on no panel", hint))
        if "no_panel" in entry and "panel" in kinds:
            problems.append(Problem(found.where(position, "no_panel"), f"{name} is on a panel: take no_panel out"))
        for panel in PANEL.findall(str(entry.get("no_panel", ""))):
            if panel not in shown:
                problems.append(Problem(found.where(position, "no_panel"), f"{name}: there is no panel {panel}"))
        if source == "host" and not kinds:
            problems.append(Problem(where, f"{name} is used by no rule, no panel and no page"))
        if source != "host" and "page" not in kinds:
            problems.append(Problem(where, f"{name} is on no page", "say in docs/operations.md what it is for"))
    return problems


def page_texts(files: Iterable[Path]) -> dict[str, str]:
    """Sources of pages by path relative to the checkout: what macros draw is not theirs."""
    return {str(file.relative_to(facts.ROOT)): file.read_text(encoding="utf-8", errors="replace") for file in files}
