"""The compatibility ledger, `deviations.yml`, as tables and sections."""

from __future__ import annotations

from collections import Counter
from typing import Any

from handbook import facts
from handbook.macros import MacroError, cell
from handbook.monitoring import rules
from handbook.node.deviations import AT_START

AREAS = {
    "transport": "transport",
    "rpc": "RPC",
    "governance": "governance of disbursements",
    "executor": "executor",
    "energy": "energy market",
    "storage": "storage and recovery",
    "start": "build and start",
    "network": "network",
    "metrics": "metrics",
    "cli": "command line and tools",
}
"""In the order of the page."""
SAME = "The same: the contract keeps the hazard, and so does the mock."
Entry = dict[str, Any]


def deviation_counts(build: str) -> str:
    """How many entries a build has, by area and severity, each area linked to its section."""
    entries = _of(build)
    counts = Counter((entry["area"], entry["severity"]) for entry in entries)
    names = " | ".join(_severity(name) for name in rules.SEVERITIES)
    rows = [f"| area | {names} |", "|---|" + "---:|" * len(rules.SEVERITIES)]
    for area, title in AREAS.items():
        cells = " | ".join(str(counts[area, severity] or "") for severity in rules.SEVERITIES)
        rows.append(f"| [{title}](#area-{area}) | {cells} |")
    totals = Counter(entry["severity"] for entry in entries)
    rows.append("| together | " + " | ".join(str(totals[severity]) for severity in rules.SEVERITIES) + " |")
    return "\n".join(rows)


def deviation_overview(build: str) -> str:
    """A tab per severity: one line per entry of a build, by area, with what you lose and how a mock shows it."""
    parts = []
    for severity in rules.SEVERITIES:
        found = [entry for entry in _of(build) if entry["severity"] == severity]
        rows = ["| | what it does, and what you lose | on a mock |", "|---|---|---|"]
        for entry in sorted(found, key=lambda one: (list(AREAS).index(one["area"]), one["id"])):
            loss = cell(entry["danger"].split(". ")[0].removesuffix("."))
            link = f"[{entry['id']}](#{entry['id'].lower()})<br>{entry['area']}"
            rows.append(f"| {link} | **{cell(entry['title'])}.**<br>{loss}. | {_shown_by(entry)} |")
        parts.append(f'=== "{severity} ({len(found)})"\n\n' + "\n".join(f"    {row}" for row in rows) + "\n")
    return "\n".join(parts)


def hazard_table() -> str:
    """The entries that the contract shares, critical ones only, with the way to see each."""
    rows = ["| | what happens | rehearse |", "|---|---|---|"]
    for entry in facts.load("deviations.yml"):
        if entry["contract"] == "same" and entry["severity"] == "critical":
            how = entry.get("rehearse") or f"With the fault `{entry['fault']}`."
            rows.append(f"| [{entry['id']}](#{entry['id'].lower()}) | {cell(entry['title'])} | {cell(how)} |")
    return "\n".join(rows)


def deviation_table() -> str:
    """`deviations.yml` as one section per entry, under a heading per area, the dangerous ones first."""
    parts = []
    entries = facts.load("deviations.yml")
    for area, title in AREAS.items():
        parts.append(f"## {title[0].upper()}{title[1:]} {{ #area-{area} }}\n")
        found = [entry for entry in entries if entry["area"] == area]
        found.sort(key=lambda entry: (rules.SEVERITIES.index(entry["severity"]), entry["id"]))
        parts += [_deviation(entry) for entry in found]
    return "\n".join(parts)


def _of(build: str) -> list[Entry]:
    entries: list[Entry] = [entry for entry in facts.load("deviations.yml") if build in entry["builds"]]
    if not entries:
        raise MacroError(f"no entry of deviations.yml is of build {build!r}")
    return entries


def _deviation(entry: Entry) -> str:
    builds = ", ".join(f"`{build}`" for build in entry["builds"])
    marks, how = entry["evidence"].split(" ", 1)
    contract = SAME if entry["contract"] == "same" else entry["contract"]
    return (
        f"### {entry['id']}: {entry['title']} {{ #{entry['id'].lower()} }}\n\n"
        f"{_severity(entry['severity'])} evidence [`{marks}`](#evidence-marks) {how}\n\n"
        f"| Build {builds} | Contract |\n|---|---|\n| {cell(entry['observed'])} | {cell(contract)} |\n\n"
        f"**You lose:** {entry['danger']}\n\n"
        f"**Do:** {entry['workaround']}\n\n{_rehearse(entry)}"
    )


def _rehearse(entry: Entry) -> str:
    fault, how = entry["fault"], entry.get("rehearse", "")
    if fault in AT_START:
        how = f"on a mock node that is started with `--build {entry['builds'][0]}`. {how}"
    elif fault:
        how = f"on the mock, with the fault `{fault}`. {how}"
    return f"**Rehearse:** {how.rstrip()}\n\n" if how else f"**Not rehearsed:** {entry['no_fault']}\n\n"


def _shown_by(entry: Entry) -> str:
    if entry["fault"] in AT_START:
        return f"`--build {entry['builds'][0]}`"
    if entry["fault"]:
        return f"`{entry['fault']}`"
    return "as it is" if "rehearse" in entry else "no"


def _severity(name: str) -> str:
    return f'<span class="severity {name}">{name}</span>'
