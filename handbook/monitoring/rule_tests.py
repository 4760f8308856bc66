"""Unit tests of the rules: run by promtool, and complete.

promtool passes a test file without tests, a test of an alert that does not exist, and a rule that no test names.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from handbook import document, tool
from handbook.document import Document, Unreadable
from handbook.monitoring import promql, rule_slices
from handbook.monitoring.rules import Rule
from handbook.problem import Problem


@dataclass
class _Seen:
    """Times, in seconds by test, at which a rule was expected to be there and not to be there."""

    there: set[tuple[int, float]] = field(default_factory=set)
    silent: set[tuple[int, float]] = field(default_factory=set)


def check_rule_tests(file: Path, rules: tuple[Rule, ...]) -> list[Problem]:
    """promtool's verdict, then: every rule is seen there, and seen silent one evaluation before, in the same test."""
    try:
        found = document.read(file)
        said = _promtool(file)
    except Unreadable as error:
        return [error.problem]
    except tool.MissingTool as missing:
        return [missing.problem]
    if said.status:
        return [Problem(found.path, f"promtool test rules fails:\n{said.output.rstrip()}")]
    if problems := _loaded(found, file, rules):
        return problems
    seen, problems = _expectations(found, {rule.name for rule in rules})
    step = _seconds(found.data.get("evaluation_interval", "1m"))
    for rule in rules:
        one = seen[rule.name]
        if not one.there:
            problems.append(Problem(rule.where, f"{rule.name}: no test expects it", f"add one to {found.path}"))
        elif rule.alert and rule.always:
            if not any(time == 0 for _, time in one.there):
                message = f"{rule.name} fires always, and no test expects it at 0s"
                problems.append(Problem(rule.where, message, f"add one to {found.path}"))
        elif not any((test, time - step) in one.silent for test, time in one.there):
            message = f"{rule.name}: no test expects silence one evaluation ({step:g} s) before it"
            problems.append(Problem(rule.where, message, f"add one to {found.path}"))
    return problems


def _promtool(file: Path) -> tool.Said:
    """promtool's word: on slices if they all pass, otherwise on the file as it is, whose name its message gives."""
    directory = file.absolute().parent
    try:
        tests = rule_slices.load(file)
        files = sorted({one for pattern in tests["rule_files"] for one in directory.glob(pattern)})
        groups = [group for one in files for group in rule_slices.load(one)["groups"]]
        order = tests.get("group_eval_order") or []
        groups.sort(key=lambda group: order.index(group["name"]) if group["name"] in order else len(order))
        with tempfile.TemporaryDirectory() as scratch:
            said = rule_slices.run(tests, groups, Path(scratch))
        if not said.status and groups and tests["tests"]:
            return said
    except (LookupError, TypeError, AttributeError, ValueError, OSError, yaml.YAMLError):
        pass  # promtool says it better
    return tool.run("promtool", "test", "rules", file.name, directory=directory, seconds=300)


def _loaded(found: Document, file: Path, rules: tuple[Rule, ...]) -> list[Problem]:
    """That `rule_files` finds files, and each in which a rule stands: promtool tests what it finds, if only air."""
    problems: list[Problem] = []
    names: set[str] = set()
    for position, pattern in enumerate(found.data.get("rule_files") or []):
        matched = sorted(file.absolute().parent.glob(pattern))
        names |= {one.name for one in matched}
        if not matched:
            where = found.where("rule_files", position)
            problems.append(
                Problem(where, f"rule_files: no file matches {pattern}", "paths are relative to the test file")
            )
    for rule_file in dict.fromkeys(rule.where.rpartition(":")[0] for rule in rules):
        if Path(rule_file).name not in names:
            problems.append(
                Problem(found.path, f"rule_files leaves out {rule_file}", "promtool would test it as absent")
            )
    return problems


def _expectations(found: Document, names: set[str]) -> tuple[dict[str, _Seen], list[Problem]]:
    seen: dict[str, _Seen] = defaultdict(_Seen)
    problems: list[Problem] = []
    for number, test in enumerate(found.data.get("tests") or []):
        for position, one in enumerate(test.get("alert_rule_test") or []):
            where = found.where("tests", number, "alert_rule_test", position)
            _note(seen[one["alertname"]], number, one, one.get("exp_alerts"))
            if one["alertname"] not in names:
                problems.append(Problem(where, f"{one['alertname']} is no alert of the rule files"))
        for one in test.get("promql_expr_test") or []:
            for node in promql.selectors(one["expr"]):
                if name := promql.series_of(node):
                    _note(seen[name], number, one, one.get("exp_samples"))
    return seen, problems


def _note(seen: _Seen, number: int, test: dict[str, Any], expected: list[Any] | None) -> None:
    time = _seconds(test["eval_time"])
    (seen.there if expected else seen.silent).add((number, time))


def _seconds(duration: Any) -> float:
    """promql_parser takes no duration of 0."""
    text = str(duration)
    return float(promql_parser.parse_duration(text).total_seconds()) if text.strip("0smhd") else 0.0


def fired(file: Path) -> list[dict[str, str]]:
    """Labels of every alert that the tests expect: promtool has proved that the rules produce just these."""
    labels = []
    for test in document.read_members(file, tests=list).data["tests"]:
        for one in test.get("alert_rule_test") or []:
            labels += [{**alert["exp_labels"], "alertname": one["alertname"]} for alert in one.get("exp_alerts") or []]
    return labels
