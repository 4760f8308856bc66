"""Runbooks as a table."""

from __future__ import annotations

from handbook import facts
from handbook.monitoring import rules
from handbook.pages import runbook


def runbook_table() -> str:
    """Every alert, worst first, with the runbook that its `runbook_url` leads to."""
    books = {book.slug: book for book in runbook.all_runbooks()}
    alerts = [rule for rule in rules.load_rules(facts.ROOT / "monitoring" / "alert_rules.yml") if rule.alert]
    rows = ["| alert | severity | runbook | blast radius |", "|---|---|---|---|"]
    for rule in sorted(alerts, key=lambda rule: rules.rank(rule.labels.get("severity"))):
        book = books.get(rule.slug)  # `handbook check` names one that is missing
        link = f"[{book.title}]({book.page.file.name}{rule.fragment})" if book else "none"
        radius = book.meta["blast_radius"] if book else ""
        rows.append(f"| `{rule.name}` | {rule.labels.get('severity', 'none')} | {link} | {radius} |")
    return "\n".join(rows)
