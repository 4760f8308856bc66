"""The thresholds of the alerts, `snippets/thresholds.yml`: the one home of each number, held to what repeats it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import promql_parser

from handbook import document, facts
from handbook.document import Document, Unreadable
from handbook.monitoring import promql
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.renumber import panels
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

FILE = facts.SNIPPETS / "thresholds.yml"
NUMBER = r"[-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?)"
PRESENCE = (0.0, 1.0)
"""Comparisons with these ask whether something is there, or which state it is in: nothing to tune."""


@dataclass(frozen=True)
class Threshold:
    alert: str
    measure: str
    """PromQL of what is compared."""
    comparison: str
    value: float
    unit: str
    because: str
    rule: str
    """The rule that holds the number: the alert, or a recording rule it rests on."""
    written: str
    """How that rule writes it, with {value} for the number."""
    panel: str | None
    """UID/PANEL of the panel that draws it as a line."""
    beyond: float | None
    where: str
    key: str
    """The alert; from its second threshold on with `#2`: what `handbook thresholds --set` and pictures call it."""

    @property
    def low(self) -> bool:
        """Whether small values are the bad ones."""
        return self.comparison.startswith("<")

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the number in the rule's expression, however its lines are broken."""
        number = rf"(?P<value>{NUMBER})(?![\w.])"
        words = [re.escape(word).replace(r"\{value\}", number) for word in self.written.split()]
        return re.compile(r"\s+".join(words))


def load(file: Path = FILE) -> tuple[Threshold, ...]:
    """Raises Unreadable for a file that `check` would reject."""
    found = document.read_entries(file, "alert", "measure", "comparison", "value", "unit", "because")
    seen: Counter[str] = Counter()
    loaded = []
    for position, entry in enumerate(found.data):
        seen[entry["alert"]] += 1
        number = seen[entry["alert"]]
        loaded.append(_threshold(found, position, entry, entry["alert"] + (f"#{number}" if number > 1 else "")))
    return tuple(loaded)


def _threshold(found: Document, position: int, entry: dict[str, Any], key: str) -> Threshold:
    return Threshold(
        alert=entry["alert"],
        measure=entry["measure"],
        comparison=entry["comparison"],
        value=float(entry["value"]),
        unit=entry["unit"],
        because=entry["because"],
        rule=entry.get("rule", entry["alert"]),
        written=entry.get("written", f"{entry['measure']} {entry['comparison']} {{value}}"),
        panel=entry.get("panel"),
        beyond=float(entry["beyond"]["value"]) if "beyond" in entry else None,
        where=found.where(position, "value"),
        key=key,
    )


def check(
    rules: tuple[Rule, ...], dashboards: Iterable[Dashboard], known: promql.Known, file: Path = FILE
) -> list[Problem]:
    """Against its schema; then against the rules and panels, both ways: every number has its entry, and equals it."""
    try:
        found = document.read(file)
    except Unreadable as error:
        return [error.problem]
    validator = jsonschema.Draft202012Validator(facts.schema("thresholds"))
    errors = sorted(validator.iter_errors(found.data), key=lambda error: error.json_path)
    if errors:
        return [Problem(found.where(*error.absolute_path), f"{error.json_path}: {error.message}") for error in errors]
    thresholds = load(file)
    problems: list[Problem] = []
    for one in thresholds:
        problems += [
            Problem(one.where, f"{one.alert}: {m}", hint) for m, hint in promql.check_query(one.measure, known)
        ]
        problems += _in_rule(one, rules)
    return [*problems, *_unlisted(thresholds, rules), *_lines(thresholds, tuple(dashboards))]


def number_in(threshold: Threshold, rule: Rule) -> float | None:
    """The number that the rule holds; None where the rule does not hold exactly one."""
    numbers = [float(match["value"]) for match in threshold.pattern.finditer(rule.expr)]
    return numbers[0] if len(numbers) == 1 else None


def with_value(threshold: Threshold, rules: tuple[Rule, ...], value: float) -> str:
    """The alert's expression with `value` for the number. A recording rule that holds it is written out.

    Raises KeyError when there is no such rule.
    """
    by_name = {rule.name: rule for rule in rules}
    expression = by_name[threshold.alert].expr
    holder = by_name[threshold.rule].expr
    start, end = next(threshold.pattern.finditer(holder)).span("value")
    changed = f"{holder[:start]}{value!r}{holder[end:]}"
    if threshold.rule == threshold.alert:
        return changed
    name = rf"(?<![\w:]){re.escape(threshold.rule)}(?![\w:{{\[])"
    return re.sub(name, lambda _: f"({changed})", expression)


def _in_rule(one: Threshold, rules: tuple[Rule, ...]) -> list[Problem]:
    by_name = {rule.name: rule for rule in rules}
    for name in (one.alert, one.rule):
        if name not in by_name:
            return [Problem(one.where, f"{one.alert}: there is no rule {name}", "rules are in monitoring/")]
    rule = by_name[one.rule]
    held = number_in(one, rule)
    if held is None:
        times = len(one.pattern.findall(rule.expr))
        message = f"{one.alert}: {rule.name} holds `{one.written}` {times} times"
        return [Problem(one.where, message, f"its expression is at {rule.expr_where}; `written` must fit it once")]
    if held != one.value:
        message = f"{rule.name}: {held:g} where snippets/thresholds.yml has {one.value:g}"
        return [Problem(rule.expr_where, message, f"{one.where}; handbook thresholds --write changes both")]
    return []


def _unlisted(thresholds: tuple[Threshold, ...], rules: tuple[Rule, ...]) -> list[Problem]:
    """Numbers that an alert compares with, and that no entry tells."""
    listed = Counter((one.rule, one.value) for one in thresholds)
    problems = []
    for rule in rules:
        if not rule.alert:
            continue
        for number in numbers_compared(rule.expr):
            if listed[rule.name, number]:
                listed[rule.name, number] -= 1
            elif not any(one.rule == rule.name and number_in(one, rule) == number for one in thresholds):
                hint = "give it an entry in snippets/thresholds.yml"
                problems.append(Problem(rule.expr_where, f"{rule.name}: the threshold {number:g} is not listed", hint))
    return problems


def numbers_compared(expression: str) -> list[float]:
    """Numbers that the expression compares something with, but 0 and 1."""
    try:
        parsed = promql.parse(expression)
    except ValueError:
        return []  # promtool has said so
    found = []
    for node in promql.nodes(parsed):
        if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in promql.COMPARISONS:
            sides = (node.lhs, node.rhs)
            found += [float(side.val) for side in sides if isinstance(side, promql_parser.NumberLiteral)]
    return [number for number in found if number not in PRESENCE]


def _lines(thresholds: tuple[Threshold, ...], dashboards: tuple[Dashboard, ...]) -> list[Problem]:
    """The panels' threshold lines, both ways. A panel whose values have names (0 closed, 1 open) has no such lines."""
    problems = []
    drawn: dict[str, set[float]] = {}
    for one in thresholds:
        if one.panel:
            drawn.setdefault(one.panel, set()).update({one.value} | ({one.beyond} if one.beyond is not None else set()))
    there: set[str] = set()
    for dashboard in dashboards:
        for place, panel in panels(dashboard.data):
            name = f"{dashboard.uid}/{panel.get('id')}"
            there.add(name)
            steps = steps_of(panel)
            where = dashboard.found.where(*place, "fieldConfig", "defaults", "thresholds", "steps")
            for number in sorted(drawn.get(name, set()) - steps):
                hint = "handbook thresholds --write puts it there"
                problems.append(Problem(where, f"panel {name} has no threshold line at {number:g}", hint))
            for number in sorted(steps - drawn.get(name, set())):
                hint = f"snippets/thresholds.yml names no {name}, or another number"
                problems.append(Problem(where, f"panel {name} has a threshold line at {number:g}: whose?", hint))
    for one in thresholds:
        if one.panel and one.panel not in there:
            problems.append(Problem(one.where, f"{one.alert}: no panel {one.panel}", "UID/PANEL"))
    return problems


def steps_of(panel: dict[str, Any]) -> set[float]:
    """Where the panel draws threshold lines; nothing where its values have names."""
    defaults = (panel.get("fieldConfig") or {}).get("defaults") or {}
    if defaults.get("mappings"):
        return set()
    steps = (defaults.get("thresholds") or {}).get("steps") or []
    return {float(step["value"]) for step in steps if step.get("value") not in (None, *PRESENCE)}
