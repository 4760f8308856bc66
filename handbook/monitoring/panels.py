"""What the panels of a dashboard show: each query asked of a Prometheus as Grafana would ask it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from handbook import document, facts
from handbook.monitoring import promql
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.query_api import Labels, QueryApi
from handbook.monitoring.renumber import panels
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

EXCUSED = facts.SNIPPETS / "panels.yml"
NOT_DRAWN = ("row", "text")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
VARIABLE = re.compile(r"\$\{?\w+")


@dataclass(frozen=True)
class Line:
    """One series of a panel, under the name that the legend gives it."""

    name: str
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shown:
    """A panel and what its queries returned. `queries` is how many it has, `empty` those without a sample."""

    id: str
    panel: dict[str, Any]
    where: str
    lines: tuple[Line, ...]
    queries: int
    empty: tuple[str, ...]


def ask(api: QueryApi, dashboard: Dashboard, start: float, end: float, step: float) -> list[Shown]:
    """Every panel of the dashboard but rows and texts, in its order. Raises QueryFailed."""
    found = []
    for place, panel in panels(dashboard.data):
        if panel.get("type") in NOT_DRAWN:
            continue
        lines: list[Line] = []
        empty = []
        targets = panel.get("targets") or []
        for target in targets:
            series = api.over(filled(target["expr"], end - start), start, end, step)
            if not any(series.values()):
                empty.append(target["expr"])
            lines += [
                Line(named(target.get("legendFormat") or "", labels), tuple(samples))
                for labels, samples in sorted(series.items())
            ]
        where = dashboard.found.where(*place, "targets")
        name = f"{dashboard.uid}/{panel['id']}"
        found.append(Shown(name, panel, where, tuple(lines), len(targets), tuple(empty)))
    return found


def filled(expression: str, window: float) -> str:
    """The query with Grafana's variables put in: every node, and the window that is shown."""
    for name, value in {**promql.GRAFANA_VARIABLES, "$__range": f"{window:.0f}s"}.items():
        expression = expression.replace(name, value)
    return VARIABLE.sub(".*", expression).replace(".*}", ".*")


def named(legend: str, labels: Labels) -> str:
    told = dict(labels)
    if not legend:
        return ", ".join(f"{name}={value}" for name, value in labels if name != "__name__")
    return LEGEND.sub(lambda match: told.get(match[1], ""), legend).strip()


def excused() -> dict[str, str]:
    """Why a panel has no data on the mock, by UID/PANEL. Raises Unreadable."""
    return {entry["panel"]: entry["why"] for entry in document.read_entries(EXCUSED, "panel", "why").data}


def check_data(shown: Iterable[Shown], excuses: dict[str, str]) -> list[Problem]:
    """Queries without data that nothing excuses, and excuses that are not needed any more."""
    every = list(shown)
    problems = [
        Problem(one.where, f"panel {one.id} returns no data: {query}", "snippets/panels.yml excuses a panel, with why")
        for one in every
        if one.id not in excuses
        for query in one.empty
    ]
    there = {one.id: one for one in every}
    for panel in excuses:
        if panel not in there:
            problems.append(Problem(document.shown(EXCUSED), f"there is no panel {panel}"))
        elif not there[panel].empty:
            problems.append(Problem(document.shown(EXCUSED), f"panel {panel} has data and needs no excuse"))
    return problems


def check_runbooks(dashboards: Iterable[Dashboard], rules: Iterable[Rule]) -> list[Problem]:
    """A panel that an alert leads to leads on to the alert's runbook."""
    problems = []
    by_uid = {dashboard.uid: dashboard for dashboard in dashboards}
    for rule in rules:
        uid, _, number = str(rule.annotations.get("dashboard", "")).partition("/")
        if not rule.alert or uid not in by_uid:
            continue  # rules.check_panels says so
        wanted = rule.annotations.get("runbook_url", "").partition("#")[0]
        for place, panel in panels(by_uid[uid].data):
            if str(panel.get("id")) != number:
                continue
            linked = {str(link.get("url", "")).partition("#")[0] for link in panel.get("links") or []}
            if wanted not in linked:
                where = by_uid[uid].found.where(*place, "links")
                problems.append(
                    Problem(where, f"panel {uid}/{number} has no link to {wanted}", f"{rule.name} names it")
                )
    return problems


def check_recorded(dashboards: Iterable[Dashboard], rules: Iterable[Rule]) -> list[Problem]:
    """A panel does not compute again what a rule records."""
    recorded = {_plain(rule.expr): rule.name for rule in rules if not rule.alert}
    problems = []
    for dashboard in dashboards:
        for place, panel in panels(dashboard.data):
            for position, target in enumerate(panel.get("targets") or []):
                if name := recorded.get(_plain(str(target.get("expr", "")))):
                    where = dashboard.found.where(*place, "targets", position, "expr")
                    problems.append(Problem(where, f"panel {panel.get('id')} computes what is recorded", f"use {name}"))
    return problems


def _plain(expression: str) -> str:
    """Without what a dashboard adds to choose nodes, and in the parser's own spelling."""
    plain = re.sub(r"""instance=~"\$instance",?\s*""", "", expression).replace("{}", "")
    try:
        return str(promql.parse(plain).prettify())
    except ValueError:
        return plain
