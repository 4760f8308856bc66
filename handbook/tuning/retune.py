"""A threshold's new number, written wherever the number stands, and a list of the prose that still tells the old one.

Three places are written: its home in `snippets/thresholds.yml`, the rule, and the line in the panel. Sentences and unit
tests are for people: they are named, with file and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from handbook import document, facts
from handbook.monitoring.renumber import panels
from handbook.monitoring.rules import Rule
from handbook.problem import Problem
from handbook.tuning.thresholds import Threshold

MONITORING = facts.ROOT / "monitoring"
RULE_FILES = ("prometheus_recording_rules.yml", "alert_rules.yml")


@dataclass(frozen=True)
class Home:
    """Where the files lie: the checkout's, or a copy of them."""

    thresholds: Path
    monitoring: Path
    prose: tuple[Path, ...] = ()
    """Pages and tests in which the old number may stand."""


def of_checkout() -> Home:
    """The page on thresholds is left out: its figures are rewritten by `handbook verify --update`."""
    prose = [*(facts.ROOT / "runbooks").glob("*.md"), *(facts.ROOT / "docs").glob("*.md"), MONITORING / "README.md"]
    kept = [file for file in prose if file.name != "thresholds.md"]
    return Home(facts.SNIPPETS / "thresholds.yml", MONITORING, tuple(sorted(kept)))


def write(changed: dict[str, float], thresholds: Iterable[Threshold], rules: tuple[Rule, ...], home: Home) -> list[str]:
    """Writes the new number of each key, and tells each line it wrote as `path:line: before -> after`.

    Raises ValueError, with nothing written, when a place does not hold the number it should.
    """
    written: dict[Path, str] = {}
    told: list[str] = []
    for one in thresholds:
        if one.key in changed and changed[one.key] != one.value:
            value = float(spelled(changed[one.key]))
            told.append(_in_facts(one, value, home, written))
            told.append(_in_rule(one, value, rules, home, written))
            told += _in_panel(one, value, home, written)
    for file, text in written.items():
        draft = file.with_name(f".{file.name}.draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    return told


def spelled(value: float) -> str:
    """As YAML, PromQL and JSON all read it: no exponent, no trailing zeros."""
    return format(Decimal(f"{value:.12g}"), "f")


def _read(file: Path, written: dict[Path, str]) -> str:
    return written.get(file) or file.read_text(encoding="utf-8")


def _in_facts(one: Threshold, value: float, home: Home, written: dict[Path, str]) -> str:
    lines = _read(home.thresholds, written).split("\n")
    number = int(one.where.rpartition(":")[2])
    before = lines[number - 1]
    if not re.fullmatch(r"\s+value: \S+", before):
        raise ValueError(
            f"{document.shown(home.thresholds)}:{number}: expected `value: NUMBER`, found {before.strip()!r}"
        )
    lines[number - 1] = f"{before.partition(':')[0]}: {spelled(value)}"
    written[home.thresholds] = "\n".join(lines)
    return _told(home.thresholds, number, before, lines[number - 1])


def _in_rule(one: Threshold, value: float, rules: tuple[Rule, ...], home: Home, written: dict[Path, str]) -> str:
    rule = next(rule for rule in rules if rule.name == one.rule)
    path, _, number = rule.expr_where.rpartition(":")
    file = home.monitoring / Path(path).name
    text = _read(file, written)
    start = sum(len(line) + 1 for line in text.split("\n")[: int(number) - 1])
    found = one.pattern.search(text, start)
    if not found:
        raise ValueError(f"{rule.expr_where}: `{one.written}` is not written there")
    line = text.count("\n", 0, found.start("value")) + 1
    changed = text[: found.start("value")] + spelled(value) + text[found.end("value") :]
    written[file] = changed
    return _told(file, line, text.split("\n")[line - 1], changed.split("\n")[line - 1])


def _in_panel(one: Threshold, value: float, home: Home, written: dict[Path, str]) -> list[str]:
    if not one.panel:
        return []
    uid, _, number = one.panel.partition("/")
    file = home.monitoring / f"grafana_{uid}_dashboard.json"
    data: dict[str, Any] = json.loads(_read(file, written))
    panel = next(panel for _, panel in panels(data) if panel.get("id") == int(number))
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step.get("value") == one.value:
            step["value"] = int(value) if value.is_integer() else value
            written[file] = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
            return [f"{document.shown(file)}: panel {number}: {one.value:g} -> {value:g}"]
    raise ValueError(f"{document.shown(file)}: panel {number} has no threshold line at {one.value:g}")


def _told(file: Path, number: int, before: str, after: str) -> str:
    return f"{document.shown(file)}:{number}: {before.strip()} -> {after.strip()}"


def still_told(one: Threshold, home: Home) -> list[Problem]:
    """Lines that name the old number of a threshold beside its alert, or in its alert's own annotations and tests."""
    number = re.compile(rf"(?<![\w.,:]){_grouped(one.value)}(?![\w]|[.,]\d)")
    found = []
    for file in (*(home.monitoring / name for name in (*RULE_FILES, "rules_test.yml")), *home.prose):
        near = 0
        for line_number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if one.alert in line or one.rule in line:
                near = 25  # an alert with its annotations, a test with its expectations
            elif re.match(r"\s*- (alert|record|name|alertname): ", line):
                near = 0
            if near > 0 and number.search(line):
                hint = f"{one.alert} had {spelled(one.value)} until now"
                found.append(Problem(f"{document.shown(file)}:{line_number}", line.strip(), hint))
            near -= 1
    return found


def _grouped(value: float) -> str:
    """The number with or without a space between thousands, or as a percentage."""
    plain = spelled(value)
    forms = [re.escape(plain)]
    if value >= 1000 and value.is_integer():
        forms.append(re.escape(f"{int(value):,}").replace(",", "[  ,]"))
    if 0 < value < 1:
        forms.append(re.escape(f"{value * 100:g}") + " ?%")
    return f"(?:{'|'.join(forms)})"
