"""The metric reference inside `docs/metrics.md`, drawn from the catalogue and from where each metric is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbook import facts
from handbook.monitoring import catalogue, dashboards, metric_coverage, metric_uses, rules
from handbook.monitoring.catalogue import Metric
from handbook.monitoring.metric_uses import Use
from handbook.monitoring.renumber import panels
from handbook.monitoring.rules import Rule
from handbook.monitoring.scrape_limits import JOB
from handbook.pages import names

MONITORING = facts.ROOT / "monitoring"
SYSTEMS = {
    "treasury": "Treasury",
    "governance": "Governance",
    "rpc": "RPC",
    "energy": "Energy market",
    "oracle": "Oracle",
    "mock": "The mock node",
}
"""Headings, by first word of a name."""
SOURCES = {"prometheus": "Prometheus about its scrapes", "host": "The host"}
"""Headings of metrics whose names are not the node's."""


def metric_overview() -> str:
    """Every metric: name, type, unit, and its state in each build."""
    listed = catalogue.load().metrics
    builds = _builds(listed)
    rows = [
        f"| metric | type | unit | {' | '.join(f'`{build}`' for build in builds)} |",
        "|---|---|---|" + "---|" * len(builds),
    ]
    for metric in listed:
        states = " | ".join(_state(metric, build) for build in builds)
        rows.append(f"| [{_code(metric.name)}](#{metric.name}) | {metric.type} | {metric.unit} | {states} |")
    return "\n".join(rows)


def metric_reference() -> str:
    """One section per metric, under a heading per system: type, labels, series, builds, and where it is used."""
    listed = catalogue.load()
    loaded = rules.load_rules(MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml")
    boards = [dashboards.load_dashboard(file) for file in sorted(MONITORING.glob("grafana_*_dashboard.json"))]
    used = metric_uses.uses(listed, loaded, boards, metric_uses.page_texts(names.pages()))
    titles = {f"{b.uid}/{panel.get('id')}": str(panel.get("title")) for b in boards for _, panel in panels(b.data)}
    alerts = {rule.name: rule for rule in loaded if rule.alert}
    groups: dict[str, list[Metric]] = {}
    for metric in listed.metrics:
        groups.setdefault(_group(metric), []).append(metric)
    parts = []
    for group, metrics in groups.items():
        parts.append(f"## {group} {{ #{group.lower().replace(' ', '-')} }}\n")
        parts += [_section(metric, used[metric.name], titles, alerts) for metric in metrics]
    return "\n".join(parts)


def exception_table() -> str:
    """The names that break the rule of names: which part of it, since when, why they stay."""
    rows = ["| metric | breaks | seen | why it stays |", "|---|---|---|---|"]
    entries: list[dict[str, Any]] = facts.load("metric_exceptions.yml")
    rows += [
        f"| {_code(e['name'])} | {', '.join(e['breaks'])} | {e['since']} | {_cell(e['reason'])} |" for e in entries
    ]
    return "\n".join(rows)


def budget_table() -> str:
    """Every metric with a label: where its values come from, how many are kept, and the series that makes."""
    rows = ["| metric | label | values | series at most |", "|---|---|---|---|"]
    for metric in catalogue.load().metrics:
        if metric.labels and metric.source in ("node", "mock"):
            labels = "<br>".join(f"`{name}`" for name in metric.labels)
            values = "<br>".join(_values(metric, name) for name in metric.labels)
            rows.append(f"| {_code(metric.name)} | {labels} | {values} | {metric_coverage.budget(metric)} |")
    return "\n".join(rows)


def _group(metric: Metric) -> str:
    system = metric.name.split("_")[0]
    return SOURCES.get(metric.source) or SYSTEMS.get(system, system)


def _builds(listed: tuple[Metric, ...]) -> list[str]:
    return sorted({build for metric in listed for build in metric.builds})


def _state(metric: Metric, build: str) -> str:
    if metric.source not in ("node", "mock"):
        return "–"
    return f"{metric.builds[build]} `[{metric.evidence[build]}]`" if build in metric.builds else "not looked at"


def _section(metric: Metric, used: tuple[Use, ...], titles: dict[str, str], alerts: dict[str, Rule]) -> str:
    rows = [("type, unit", f"{metric.type}, {metric.unit}")]
    rows += [(f"label `{name}`", _values(metric, name)) for name in metric.labels]
    if metric.buckets:
        rows.append(("buckets", ", ".join(f"{bound:g}" for bound in metric.buckets)))
        rows.append(("stored as", ", ".join(f"`{series}`" for series in metric.series)))
    if metric.source in ("node", "mock"):
        rows.append(("series at most", str(metric_coverage.budget(metric))))
    if metric.appears:
        rows.append(("appears", APPEARS[metric.appears]))
    for build in metric.builds:
        note = f". {metric.notes[build]}" if build in metric.notes else ""
        rows.append((f"build `{build}`", f"{_state(metric, build)}{note}"))
    rows += _used(used, titles, alerts)
    if metric.no_panel:
        rows.append(("no panel", metric.no_panel))
    lines = [f"| **{what}** | {_cell(said)} |" for what, said in rows]
    return f"### {metric.name} {{ #{metric.name} }}\n\n{metric.help}\n\n| | |\n|---|---|\n" + "\n".join(lines) + "\n"


APPEARS = {
    "start": "when the node starts",
    "executor tick": "with the executor's first complete tick; never without an executor",
    "first event": "with the first event of its kind; until then `absent()` is its normal state",
    "scrape": f"with each scrape of job `{JOB}`",
}


def _used(used: tuple[Use, ...], titles: dict[str, str], alerts: dict[str, Rule]) -> list[tuple[str, str]]:
    """One row per kind of use; a use through a recorded series says which."""
    said: dict[str, dict[str, list[str]]] = {}
    for use in used:
        vias = said.setdefault(use.kind, {}).setdefault(_name(use, titles, alerts), [])
        if use.via:
            vias.append(f"`{use.via}`")
    heads = {"recorded": "recorded as", "alert": "alerts", "panel": "panels", "page": "pages"}
    return [
        (heads[kind], "<br>".join(f"{name} through {', '.join(vias)}" if vias else name for name, vias in uses.items()))
        for kind, uses in said.items()
    ]


def _name(use: Use, titles: dict[str, str], alerts: dict[str, Rule]) -> str:
    if use.kind == "alert" and (runbook := facts.ROOT / "runbooks" / f"{alerts[use.name].slug}.md").is_file():
        return f"[`{use.name}`](../runbooks/{runbook.name})"
    if use.kind == "panel":
        return f"{use.name} {titles[use.name]}"
    if use.kind == "page":
        path = Path(use.name)
        link = path.name if path.parts[0] == "docs" else f"../{path}"
        return f"[{path.stem if path.stem != 'README' else 'monitoring'}]({link})" if path != README else use.name
    return f"`{use.name}`"


README = Path("README.md")
"""Not on the site."""


def _values(metric: Metric, label: str) -> str:
    values = metric.labels[label]
    if values is not None:
        return ", ".join(f"`{value}`" for value in values)
    kept = f"; {metric.kept[label]} are kept apart, the rest is `other`" if label in metric.kept else ""
    return f"{metric.unbounded[label]}{kept}"


def _code(name: str) -> str:
    """A name that a narrow column breaks between its words."""
    return f"<code>{name.replace('_', '_<wbr>')}</code>"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
