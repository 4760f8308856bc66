"""Rule files: promtool's judgement, and what promtool lets pass.

An alert must say who is told (severity), what is hurt (component) and what to do (runbook, panel), or it is noise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import promql_parser

from handbook import document, facts, tool
from handbook.document import Document, Unreadable
from handbook.monitoring import promql
from handbook.monitoring.catalogue import Catalogue
from handbook.problem import Problem

SEVERITIES = ("critical", "warning", "info")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard")
RUNBOOKS = facts.SITE_URL + "runbooks/"
LOCATED = re.compile(r"line (\d+): (.*)|(?:^|: )(\d+):\d+: (.*)")


@dataclass(frozen=True)
class Rule:
    name: str
    alert: bool
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    group: str
    where: str
    """Line of its name."""
    expr_where: str
    waits: str | None = None
    """An alert's `for`; None where it says none."""
    keeps: str | None = None
    """An alert's `keep_firing_for`."""

    @property
    def hold(self) -> float:
        """Seconds of `for`."""
        return _seconds(self.waits)

    @property
    def keep(self) -> float:
        """Seconds of `keep_firing_for`."""
        return _seconds(self.keeps)

    @property
    def slug(self) -> str:
        """Of the runbook, as the path of `runbook_url` says it; empty for a recording rule."""
        return self.annotations.get("runbook_url", "").removeprefix(RUNBOOKS).partition("#")[0].strip("/")

    @property
    def anchor(self) -> str:
        """Of the part of the runbook that the alert leads to; empty for its top."""
        return self.annotations.get("runbook_url", "").partition("#")[2]

    @property
    def fragment(self) -> str:
        """The anchor as it stands in an address, with its #."""
        return f"#{self.anchor}" if self.anchor else ""

    @property
    def always(self) -> bool:
        """Whether it rests on no series, so that it fires from the first evaluation on."""
        return not promql.selectors(self.expr)


def rank(severity: str | None) -> int:
    """0 is the worst. What is no severity, which `check_rules` says, comes last."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def load_rules(*files: Path) -> tuple[Rule, ...]:
    """In file order. Raises Unreadable for a file that is not YAML; entries that promtool would reject are left out."""
    return tuple(rule for file in files for rule in _rules(document.read(file)))


def _rules(found: Document) -> list[Rule]:
    groups = found.data.get("groups") if isinstance(found.data, dict) else None
    rules = []
    for g, group in enumerate(groups or []):
        for r, rule in enumerate(group.get("rules") or []):
            kind = "alert" if "alert" in rule else "record"
            if kind not in rule or "expr" not in rule:
                continue
            rules.append(
                Rule(
                    name=rule[kind],
                    alert=kind == "alert",
                    expr=str(rule["expr"]),
                    labels=rule.get("labels") or {},
                    annotations=rule.get("annotations") or {},
                    group=str(group.get("name")),
                    where=found.where("groups", g, "rules", r, kind),
                    expr_where=found.where("groups", g, "rules", r, "expr"),
                    waits=rule.get("for"),
                    keeps=rule.get("keep_firing_for"),
                )
            )
    return rules


def _seconds(duration: str | None) -> float:
    """0 for what is no duration: promtool rejects that."""
    try:
        return float(promql_parser.parse_duration(duration or "0s").total_seconds())
    except ValueError:
        return 0.0


def known_series(rules: tuple[Rule, ...], catalogue: Catalogue) -> promql.Known:
    """The catalogue and what the rules record. A rule may build on one recorded before it."""
    recorded: dict[str, float | None] = {}
    for rule in rules:
        if rule.alert:
            continue
        try:
            expression = promql_parser.parse(rule.expr)
        except ValueError:
            recorded.setdefault(rule.name, None)
            continue
        bound = promql.ceiling(expression, promql.Known(catalogue, recorded))
        recorded.setdefault(rule.name, bound)
    return promql.Known(catalogue, recorded)


def check_rules(files: list[Path], catalogue: Catalogue) -> list[Problem]:
    """Every file by promtool; then every rule by what this module and `promql` know, with the names that all record."""
    problems: list[Problem] = []
    readable: list[Path] = []
    try:
        for file in files:
            found = _promtool(file)
            problems += found
            if not found:
                readable.append(file)
        rules = load_rules(*readable)
    except tool.MissingTool as missing:
        return [missing.problem]
    except Unreadable as error:
        return [*problems, error.problem]
    known = known_series(rules, catalogue)
    for rule in rules:
        for message, hint in promql.check_query(rule.expr, known):
            problems.append(Problem(rule.expr_where, f"{rule.name}: {message}", hint))
        problems += _alert(rule) if rule.alert else []
    return problems


def _promtool(file: Path) -> list[Problem]:
    said = tool.run("promtool", "check", "rules", "--lint-fatal", file.name, directory=file.absolute().parent)
    path = document.shown(file)
    if said.status == 0:
        if re.search(r"SUCCESS: 0 rules found", said.output):
            return [Problem(path, "promtool found no rule in it", "a rule file begins with `groups:`")]
        return []
    lines = [line.strip() for line in said.output.splitlines()]
    told = [line for line in lines if line and not line.startswith(("Checking ", "FAILED:"))]
    located = [(found, line) for line in told if (found := LOCATED.search(line))]
    if not located:
        return [Problem(path, f"promtool rejects it: {' '.join(told)}")]
    return list(
        dict.fromkeys(
            Problem(f"{path}:{found[1] or found[3]}", f"promtool rejects it: {found[2] or found[4]}", _hint(line))
            for found, line in located
        )
    )


def _hint(line: str) -> str:
    return "the key is spelt groups" if re.search(r"field g\w*s not found in type rulefmt.RuleGroups", line) else ""


def _alert(rule: Rule) -> list[Problem]:
    problems: list[Problem] = []
    severity = rule.labels.get("severity")
    if severity not in SEVERITIES:
        problems.append(Problem(rule.where, f"{rule.name}: severity {severity!r}", f"one of {', '.join(SEVERITIES)}"))
    if not rule.labels.get("component"):
        problems.append(Problem(rule.where, f"{rule.name}: no label component"))
    for name in ANNOTATIONS:
        if not str(rule.annotations.get(name) or "").strip():
            problems.append(Problem(rule.where, f"{rule.name}: no annotation {name}"))
    if rule.waits is None:
        problems.append(Problem(rule.where, f"{rule.name}: no `for`", "0s says that it fires at once"))
    url = rule.annotations.get("runbook_url", "")
    if url and not re.fullmatch(re.escape(RUNBOOKS) + r"[a-z0-9-]+/(#[a-z0-9-]+)?", url):
        problems.append(
            Problem(rule.where, f"{rule.name}: runbook_url {url}", f"{RUNBOOKS}SLUG/ or {RUNBOOKS}SLUG/#ID")
        )
    elif url and rule.labels.get("runbook") != rule.slug:
        problems.append(
            Problem(rule.where, f"{rule.name}: label runbook is not {rule.slug}", "Alertmanager inhibits by it")
        )
    return problems


def check_panels(rules: tuple[Rule, ...], panels: dict[str, frozenset[int]]) -> list[Problem]:
    """That each alert's `dashboard` names a panel there is. `panels` are the panel ids of each dashboard, by uid."""
    problems = []
    for rule in rules:
        link = str(rule.annotations.get("dashboard", ""))
        uid, _, panel = link.partition("/")
        if rule.alert and link and not (panel.isdigit() and int(panel) in panels.get(uid, frozenset())):
            hint = f"UID/PANEL; dashboards: {', '.join(sorted(panels))}"
            problems.append(Problem(rule.where, f"{rule.name}: no panel {link}", hint))
    return problems
