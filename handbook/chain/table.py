"""The faults and the last walk as a table inside a page."""

from __future__ import annotations

from pathlib import Path

from handbook.chain import bare, config, run, walk
from handbook.chain.faults import FAULTS, WATCHDOG
from handbook.chain.result import Result, reach, read
from handbook.monitoring import rules

HEAD = "| alert and its runbook | what is broken | who is told | fires | clears |\n|---|---|---|--:|--:|"


def chain_table() -> str:
    """Every alert with its fault, and what `build/chain.json` says of it, in seconds."""
    return table(read())


def table(last: Result | None, source: Path = config.MONITORING) -> str:
    known = run.alerts(source)
    broken = [(fault.alert, fault.what) for fault in FAULTS]
    broken += [(name, bare.untargeted(job)) for name, job in bare.absent(known).items()]
    broken.append((WATCHDOG, bare.STOPPED))
    seen = {(course.alert, course.fault): course for course in last.courses} if last else {}
    rows = [_row(known[name], what, seen.get((name, what))) for name, what in broken if name in known]
    return "\n".join([_said(last), "", HEAD, *rows])


def _said(last: Result | None) -> str:
    if last is None:
        return "Not measured on this checkout: `handbook chain` measures it."
    reached, alerts = reach(last)
    stray = f" Stray alerts: {len(last.problems)}." if last.problems else ""
    return (
        f"Measured {last.at}: {reached} of {alerts} alerts reached their people and went again, "
        f"in {last.seconds:.0f} s.{stray} Seconds, on squeezed time."
    )


def _row(rule: rules.Rule, what: str, course: walk.Course | None) -> str:
    who = ", ".join(sorted(walk.receivers(rule)))
    if course is None:
        times = ["", ""]
    elif course.problems:
        times = ["**failed**", ""]
    else:
        times = [f"{one:.1f}" for one in (course.fired or 0.0, course.cleared or 0.0)]
    return f"| [{rule.name}]({_page(rule)}) | {what} | {who} | {' | '.join(times)} |"


def _page(rule: rules.Rule) -> str:
    """As a page in docs/ links to it."""
    anchor = rule.annotations["runbook_url"].partition("#")[2]
    return f"../runbooks/{rule.slug}.md{'#' if anchor else ''}{anchor}"
