"""What documents of the node say and its build does not do, `claims.yml`, as a table."""

from __future__ import annotations

from handbook import facts
from handbook.macros import MacroError, cell
from handbook.pages import claims


def claim_table(subject: str) -> str:
    """The claims on a subject, each with what holds and where it is said."""
    found = [claim for claim in claims.load() if claim.subject == subject]
    if not found:
        raise MacroError(f"claims.yml has nothing on {subject!r}")
    rows = ["| what is said, and where | what holds |", "|---|---|"]
    for claim in found:
        holds = "<br>".join(_leads(name) for name in claim.see)
        rows.append(f"| {cell(claim.claim)}<br>*{cell(claim.said_in)}* | {holds} |")
    return "\n".join(rows)


def _leads(name: str) -> str:
    titles = {entry["id"]: entry["title"] for entry in facts.load("deviations.yml")}
    if name in titles:
        return f"[{name}](compatibility.md#{name.lower()}): {cell(titles[name])}"
    for entry in facts.load("retired.yml"):
        if entry["name"] == name:
            return f"[`{cell(name)}`](names.md#retired-names): {cell(entry['why'])}"
    return f"[{name}]({name})"
