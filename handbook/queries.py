"""Checks of promql blocks: they parse, every series is known, and where it says so they return data."""

from __future__ import annotations

from functools import cache
from typing import Any

import promql_parser
import yaml

from handbook import facts
from handbook.page import Block
from handbook.target import Target

SUFFIXES = ("_bucket", "_sum", "_count")


def check(block: Block, target: Target) -> list[str]:
    """What is wrong with a promql block, as `page:line: …` lines. `expect="data"` asks a Prometheus that scrapes."""
    try:
        tree = promql_parser.parse(block.text.strip())
    except ValueError as error:
        return [f"{block.where}: not PromQL: {error}"]
    unknown = sorted(series(tree) - known_series())
    if unknown:
        return [
            f"{block.where}: no such series: {', '.join(unknown)}"
            "\n  hint: snippets/metrics.yml lists the metrics, monitoring/prometheus_recording_rules.yml the recorded ones"
        ]
    if block.attrs.get("expect") == "data" and target.addresses.metrics:
        if not target.prometheus().wait_for(block.text.strip()):
            return [f"{block.where}: returns no data from the node's metrics"]
    return []


def series(tree: Any) -> set[str]:
    """Names of all series that a parsed query reads."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if node is None:
            return
        if isinstance(node, promql_parser.VectorSelector):
            name = node.name or next((m.value for m in node.matchers.matchers if m.name == "__name__"), None)
            if name:
                found.add(name)
            return
        for child in ("expr", "lhs", "rhs", "vector_selector", "param"):
            visit(getattr(node, child, None))
        for arg in getattr(node, "args", None) or []:
            visit(arg)

    visit(tree)
    return found


@cache
def known_series() -> frozenset[str]:
    """Every series of the catalogue (histograms with their three suffixes) and every recorded one."""
    names: set[str] = set()
    for metric in facts.load("metrics.yml"):
        names.add(metric["name"])
        if metric["type"] == "histogram":
            names.update(metric["name"] + suffix for suffix in SUFFIXES)
    rules = yaml.safe_load((facts.ROOT / "monitoring" / "prometheus_recording_rules.yml").read_text())
    names.update(rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule)
    return frozenset(names)
