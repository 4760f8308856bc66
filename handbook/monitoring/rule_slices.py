"""Unit tests of rules, each with the rules that it speaks of and no others.

For one test promtool evaluates every rule at every step, though most tests speak of two or three of fifty. Cut into
slices, the same tests take a tenth of the time. A slice holds every rule that its test expects something of, and
whatever those are computed from; a rule that is left out has no say in what the test sees.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import yaml

from handbook import tool
from handbook.monitoring import promql
from handbook.tool import Said

Groups = list[dict[str, Any]]


class _AsWritten(yaml.SafeDumper):
    """Puts no scalar into quotes for looking like a number: what it is, is for its reader to say."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # what the stubs call an instance's


def run(tests: dict[str, Any], groups: Groups, directory: Path, names: Collection[str] | None = None) -> Said:
    """promtool's word on a test file's content, or on those of its tests that speak of `names`; both from `load`.

    Writes two files a test into `directory`. Raises ValueError for a query that does not parse, MissingTool.
    """
    files = []
    for number, test in enumerate(tests["tests"]):
        wanted = expected(test)
        if names is not None and not wanted & set(names):
            continue
        kept = _kept(groups, needed(groups, wanted))
        head = {key: value for key, value in tests.items() if key != "tests"}
        head["group_eval_order"] = [group["name"] for group in kept]
        head["rule_files"] = [f"{number:03}-rules.yml"]
        (directory / head["rule_files"][0]).write_text(_dump({"groups": kept}))
        files.append(f"{number:03}-tests.yml")
        (directory / files[-1]).write_text(_dump({**head, "tests": [test]}))
    return tool.run("promtool", "test", "rules", *files, directory=directory, seconds=300) if files else Said(0, "")


def load(file: Path) -> dict[str, Any]:
    """With every scalar as it is written: YAML 1.1 takes promtool's `0x9` (0, and nine times more of it) for 9."""
    loaded: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return loaded


def expected(test: dict[str, Any]) -> set[str]:
    """Alerts and series that a test expects something of, be it silence."""
    found = {one["alertname"] for one in test.get("alert_rule_test") or []}
    for one in test.get("promql_expr_test") or []:
        found |= promql.series_in(one["expr"])
    return found


def needed(groups: Groups, names: Collection[str]) -> set[str]:
    """The names, and those of all recorded series that their rules are computed from."""
    found, before = set(names), set[str]()
    while found != before:
        before = set(found)
        for rule in (rule for group in groups for rule in group["rules"]):
            if rule_name(rule) in found:
                found |= promql.series_in(rule["expr"])
    return found


def resting_on(groups: Groups, name: str) -> set[str]:
    """The rule, and all that are computed from it."""
    found, before = {name}, set[str]()
    while found != before:
        before = set(found)
        for rule in (rule for group in groups for rule in group["rules"]):
            if found & promql.series_in(rule["expr"]):
                found.add(rule_name(rule))
    return found


def rule_name(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule.get("record"))


def _kept(groups: Groups, names: set[str]) -> Groups:
    cut = [{**group, "rules": [rule for rule in group["rules"] if rule_name(rule) in names]} for group in groups]
    return [group for group in cut if group["rules"]]


def _dump(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_AsWritten, sort_keys=False, allow_unicode=True)
