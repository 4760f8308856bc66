"""Checks of promql blocks: they parse, name known series and labels, and where it says so they return data."""

from __future__ import annotations

from functools import cache

from handbook import facts
from handbook.monitoring import catalogue, promql, rules
from handbook.pages.page import Block
from handbook.target import Target


def check(block: Block, target: Target) -> list[str]:
    """What is wrong with a promql block, as `page:line: …` lines. `expect="data"` asks a Prometheus that scrapes."""
    query = block.text.strip()
    found = [
        f"{block.where}: {message}" + (f"\n  hint: {hint}" if hint else "")
        for message, hint in promql.check_query(query, known())
    ]
    wants_data = block.attrs.get("expect") == "data" and target.addresses.metrics
    if not found and wants_data and not target.prometheus().wait_for(query):
        found = [f"{block.where}: returns no data from the node's metrics"]
    return found


@cache
def known() -> promql.Known:
    """Every series of the catalogue and every recorded one."""
    recorded = rules.load_rules(facts.ROOT / "monitoring" / "prometheus_recording_rules.yml")
    return rules.known_series(recorded, catalogue.load())
