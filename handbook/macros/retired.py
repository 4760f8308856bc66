"""Names that nobody writes any more, `retired.yml`, as a table."""

from __future__ import annotations

from handbook import facts
from handbook.macros import cell


def retired_table() -> str:
    """What not to write, what to write, why: `retired.yml`."""
    rows = ["| not | but | because |", "|---|---|---|"]
    for entry in facts.load("retired.yml"):
        rows.append(f"| `{entry['name']}` | {cell(entry['meant'])} | {cell(entry['why'])} |")
    return "\n".join(rows)
