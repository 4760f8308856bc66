"""The compatibility ledger, `deviations.yml`, as tables and sections."""

from __future__ import annotations

from typing import Any

from handbook import facts, rules
from handbook.macros import cell
from handbook.node.deviations import AT_START

AREAS = {
    "transport": "transport",
    "rpc": "RPC",
    "governance": "governance of disbursements",
    "executor": "executor",
    "energy": "energy",
    "storage": "storage",
    "start": "start",
    "network": "network",
    "metrics": "metrics",
    "cli": "command line",
}
SAME = "The same: the contract keeps the hazard."


def deviation_overview() -> str:
    """One line per deviation, the dangerous ones first, each linked to its section."""
    rows = ["| | what differs | area | you lose |", "|---|---|---|---|"]
    for entry in sorted(facts.load("deviations.yml"), key=lambda e: (rules.SEVERITIES.index(e["severity"]), e["id"])):
        loss = cell(entry["danger"].split(". ")[0].removesuffix("."))
        link = f"[{entry['id']}](#{entry['id'].lower()})"
        rows.append(f"| {_severity(entry)} | {link} {cell(entry['title'])} | {entry['area']} | {loss} |")
    return "\n".join(rows)


def deviation_table() -> str:
    """`deviations.yml` as one section per entry, under a heading per area."""
    parts = []
    entries = facts.load("deviations.yml")
    for area in dict.fromkeys(entry["area"] for entry in entries):
        parts.append(f"## Deviations: {AREAS[area]} {{ #area-{area} }}\n")
        parts += [_deviation(entry) for entry in entries if entry["area"] == area]
    return "\n".join(parts)


def _deviation(entry: dict[str, Any]) -> str:
    builds = ", ".join(f"`{build}`" for build in entry["builds"])
    marks, how = entry["evidence"].split(" ", 1)
    rehearse = _rehearse(entry)
    contract = SAME if entry["contract"] == "same" else entry["contract"]
    return (
        f"### {entry['id']}: {entry['title']} {{ #{entry['id'].lower()} }}\n\n"
        f"{_severity(entry)} evidence [`{marks}`](#evidence-marks) {how}\n\n"
        f"| Build {builds} | Contract |\n|---|---|\n| {cell(entry['observed'])} | {cell(contract)} |\n\n"
        f"**You lose:** {entry['danger']}\n\n"
        f"**Do:** {entry['workaround']}\n\n{rehearse}"
    )


def _rehearse(entry: dict[str, Any]) -> str:
    if entry["fault"] in AT_START:
        return f"**Rehearse:** on a mock node that is started with `--build {entry['builds'][0]}`.\n\n"
    if entry["fault"]:
        return f"**Rehearse:** on the mock, with the fault `{entry['fault']}`.\n\n"
    if "rehearse" in entry:
        return f"**Rehearse:** {entry['rehearse']}\n\n"
    return f"**Not rehearsed:** {entry['no_fault']}\n\n"


def _severity(entry: dict[str, Any]) -> str:
    return f'<span class="severity {entry["severity"]}">{entry["severity"]}</span>'
