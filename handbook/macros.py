"""Facts as tables inside pages, for mkdocs-macros. A page asks for them with `render_macros: true`."""

from __future__ import annotations

from typing import Any

from handbook import facts, runbook


def define_env(env: Any) -> None:
    """Called by mkdocs-macros with its environment."""
    env.macro(runbook_table)
    env.macro(deviation_table)


def runbook_table() -> str:
    """Alert, severity, what it means, from the runbooks' front matter."""
    rows = ["| alert | severity | runbook | blast radius |", "|---|---|---|---|"]
    for book in runbook.all_runbooks():
        m = book.meta
        rows.append(
            f"| `{m['alert']}` | {m['severity']} | [{book.title}]({book.page.file.name}) | {m['blast_radius']} |"
        )
    return "\n".join(rows)


def deviation_table() -> str:
    """`deviations.yml` as one section per entry."""
    parts = []
    for entry in facts.load("deviations.yml"):
        parts.append(
            f"### {entry['id']}: {entry['title']} {{ #{entry['id'].lower()} }}\n\n"
            f"| | |\n|---|---|\n"
            f"| Builds | {', '.join(f'`{b}`' for b in entry['builds'])} |\n"
            f"| The contract | {entry['contract']} |\n"
            f"| Observed | {entry['observed']} |\n"
            f"| Danger | {entry['danger']} |\n"
            f"| Workaround | {entry['workaround']} |\n"
            f"| Evidence | {entry['evidence']} |\n"
        )
    return "\n".join(parts)
