"""Runbooks as a table."""

from __future__ import annotations

from handbook import facts, rules, runbook
from handbook.macros import MacroError


def runbook_table() -> str:
    """Every alert, worst first, with the runbook that its `runbook_url` leads to."""
    books = {book.slug: book for book in runbook.all_runbooks()}
    alerts = [rule for rule in rules.load_rules(facts.ROOT / "monitoring" / "alert_rules.yml") if rule.alert]
    rows = ["| alert | severity | runbook | blast radius |", "|---|---|---|---|"]
    for rule in sorted(alerts, key=lambda rule: rules.SEVERITIES.index(rule.labels["severity"])):
        book = books.get(rule.slug)
        if book is None:
            raise MacroError(f"{rule.name} has no runbook", f"write runbooks/{rule.slug}.md")
        rows.append(
            f"| `{rule.name}` | {rule.labels['severity']} | [{book.title}]({book.page.file.name}) "
            f"| {book.meta['blast_radius']} |"
        )
    return "\n".join(rows)
