"""Grafana dashboards: files that load, panels that can show something, ids that mean one panel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook import document
from handbook.document import Document, Place, Unreadable
from handbook.monitoring import promql
from handbook.monitoring.renumber import OTHER_DASHBOARD, PANEL_LINK, SPAN, panels
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

REQUIRED = {"treasury": range(100, 107), "energy": range(200, 208)}
"""Panel ids that must exist, by dashboard uid; the first one opens the dashboard's range of ids."""
REMOVED_TYPES = {"graph": "timeseries", "singlestat": "stat", "table-old": "table"}
OLDEST_SCHEMA = 36
"""schemaVersion that Grafana 9 writes: older ones are migrated at load, and their alerts are dropped."""
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Dashboard:
    found: Document
    data: dict[str, Any]

    @property
    def uid(self) -> str:
        return str(self.data.get("uid"))

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(panel["id"] for _, panel in panels(self.data) if isinstance(panel.get("id"), int))


def load_dashboard(file: Path) -> Dashboard:
    """Raises Unreadable for what is not JSON, or not a dashboard."""
    found = document.read(file)
    lacking = [key for key in ("uid", "title", "schemaVersion", "panels") if not _get(found.data, key)]
    if lacking:
        message = f"not a dashboard: it lacks {', '.join(lacking)}"
        raise Unreadable(Problem(found.path, message, "a fragment belongs into the dashboard it is part of"))
    return Dashboard(found, found.data)


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def check_dashboards(files: list[Path], known: promql.Known) -> list[Problem]:
    """All files together: a panel id may occur once over all of them."""
    problems: list[Problem] = []
    loaded: list[Dashboard] = []
    for file in files:
        try:
            loaded.append(load_dashboard(file))
        except Unreadable as error:
            problems.append(error.problem)
    problems += _unique_ids(loaded)
    for dashboard in loaded:
        problems += _frame(dashboard) + _range(dashboard) + _overlaps(dashboard)
        for place, panel in panels(dashboard.data):
            problems += _panel(dashboard, place, panel, known)
        problems += _links(dashboard, {one.uid: one for one in loaded})
    return problems


def check_alerts(rules: tuple[Rule, ...], loaded: list[Dashboard]) -> list[Problem]:
    """That the panel which an alert names, where there is one, draws a series that the alert rests on."""
    drawn: dict[str, set[str]] = {}
    for dashboard in loaded:
        for _, panel in panels(dashboard.data):
            queries = [str(target.get("expr", "")) for target in panel.get("targets") or []]
            named = {promql.series_of(one) or "" for query in queries for one in promql.selectors(query)}
            drawn[f"{dashboard.uid}/{panel.get('id')}"] = named
    problems = []
    for rule in rules:
        link = str(rule.annotations.get("dashboard", ""))
        if not rule.alert or rule.always or link not in drawn:
            continue
        wanted = {promql.series_of(one) or "" for one in promql.selectors(rule.expr)}
        if not wanted & drawn[link]:
            message = f"{rule.name}: panel {link} draws none of {', '.join(sorted(wanted))}"
            problems.append(Problem(rule.where, message, f"it draws {', '.join(sorted(drawn[link])) or 'nothing'}"))
    return problems


def _unique_ids(loaded: list[Dashboard]) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[int, str] = {}
    for dashboard in loaded:
        for place, panel in panels(dashboard.data):
            where, number = dashboard.found.where(*place, "id"), panel.get("id")
            if not isinstance(number, int):
                problems.append(Problem(where, f"panel {panel.get('title')!r} has no id"))
            elif number in first:
                hint = "handbook dashboards renumber FILE --from N"
                problems.append(Problem(where, f"panel id {number} is taken by {first[number]}", hint))
            else:
                first[number] = where
    return problems


def _frame(dashboard: Dashboard) -> list[Problem]:
    found, data = dashboard.found, dashboard.data
    problems = []
    if data["schemaVersion"] < OLDEST_SCHEMA:
        message = f"schemaVersion {data['schemaVersion']} is older than {OLDEST_SCHEMA}"
        problems.append(Problem(found.where("schemaVersion"), message))
    if data.get("id") is not None:
        problems.append(Problem(found.where("id"), "the dashboard's own id must be null", "Grafana gives it at import"))
    variables = (data.get("templating") or {}).get("list") or []
    if not any(one.get("type") == "datasource" and one.get("name") == "datasource" for one in variables):
        problems.append(Problem(found.where("templating"), "no variable `datasource` of type datasource"))
    return problems


def _range(dashboard: Dashboard) -> list[Problem]:
    required = REQUIRED.get(dashboard.uid)
    if required is None:
        message = f"unknown dashboard {dashboard.uid}"
        return [Problem(dashboard.found.where("uid"), message, f"known: {', '.join(REQUIRED)}")]
    allowed = range(required.start, required.start + SPAN)
    problems = [
        Problem(dashboard.found.where("panels"), f"no panel {number}", f"{required[0]} to {required[-1]} must exist")
        for number in required
        if number not in dashboard.ids
    ]
    for place, panel in panels(dashboard.data):
        if isinstance(panel.get("id"), int) and panel["id"] not in allowed:
            message = f"panel id {panel['id']} is outside {allowed.start} to {allowed.stop - 1}"
            hint = f"handbook dashboards renumber FILE --from {allowed.start}"
            problems.append(Problem(dashboard.found.where(*place, "id"), message, hint))
    return problems


def _panel(dashboard: Dashboard, place: Place, panel: dict[str, Any], known: promql.Known) -> list[Problem]:
    found, name = dashboard.found, f"panel {panel.get('id')}"
    problems = []
    if "alert" in panel:
        hint = "Grafana 11 drops it: write a rule in monitoring/alert_rules.yml"
        problems.append(Problem(found.where(*place, "alert"), f"{name}: a legacy alert", hint))
    if (old := panel.get("type")) in REMOVED_TYPES:
        message = f"{name}: type {old} is no longer in Grafana"
        problems.append(Problem(found.where(*place, "type"), message, f"use {REMOVED_TYPES[old]}"))
    if not panel.get("title"):
        problems.append(Problem(found.where(*place), f"{name}: no title"))
    if panel.get("type") in ("row", "text"):
        return problems
    if not ((panel.get("fieldConfig") or {}).get("defaults") or {}).get("unit"):
        problems.append(Problem(found.where(*place, "fieldConfig"), f"{name}: no unit", "fieldConfig.defaults.unit"))
    if panel.get("datasource") != DATASOURCE:
        problems.append(Problem(found.where(*place, "datasource"), f"{name}: its data source is not ${{datasource}}"))
    targets = panel.get("targets") or []
    if not targets:
        problems.append(Problem(found.where(*place), f"{name}: no query"))
    for position, target in enumerate(targets):
        where = found.where(*place, "targets", position, "expr")
        for message, hint in promql.check_query(str(target.get("expr", "")), known):
            problems.append(Problem(where, f"{name}: {message}", hint))
    return problems


def _overlaps(dashboard: Dashboard) -> list[Problem]:
    """Of panels that are on the screen together: those of the dashboard, and those folded into one row."""
    problems: list[Problem] = []
    seen: dict[Place, list[tuple[Any, dict[str, int]]]] = {}
    for place, panel in panels(dashboard.data):
        grid, where = panel.get("gridPos"), dashboard.found.where(*place, "gridPos")
        if not isinstance(grid, dict) or not {"x", "y", "w", "h"} <= set(grid):
            problems.append(Problem(where, f"panel {panel.get('id')}: no gridPos", "x, y, w and h"))
            continue
        if grid["x"] < 0 or grid["x"] + grid["w"] > COLUMNS:
            problems.append(Problem(where, f"panel {panel.get('id')}: reaches beyond column {COLUMNS}"))
        beside = seen.setdefault(place[:-1], [])
        problems += [
            Problem(where, f"panel {panel.get('id')} overlaps panel {other}")
            for other, taken in beside
            if _overlap(grid, taken)
        ]
        beside.append((panel.get("id"), grid))
    return problems


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not beside and not below


def _links(dashboard: Dashboard, loaded: dict[str, Dashboard]) -> list[Problem]:
    """Links to a panel of a dashboard that is at hand must lead to one there is."""
    problems = []
    for place, value in document.walk(dashboard.data):
        if not isinstance(value, str):
            continue
        named = OTHER_DASHBOARD.search(value)
        target = loaded.get(named["uid"]) if named else dashboard
        for link in PANEL_LINK.finditer(value):
            if target and int(link["id"]) not in target.ids:
                where = dashboard.found.where(*place)
                problems.append(Problem(where, f"a link leads to panel {link['id']}, which {target.uid} has not"))
    return problems
