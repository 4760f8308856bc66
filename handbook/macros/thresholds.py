"""The thresholds as a table and as sections with pictures, inside pages."""

from __future__ import annotations

from html import escape

from handbook.tuning import staging_week, thresholds, tuning_table

INCIDENTS = {
    "executor dead": "the executor has ended, nothing is paid",
    "slow chain": "timelocks take seven times as long",
    "payments refused": "the mempool refuses every payment",
    "node down": "nothing is scraped, and counters start again from 0",
    "no refill": "the counter is not refilled in the morning",
    "readings late": "meter readings arrive forty times as late",
    "readings forged": "half of the readings carry a bad signature",
    "oracle silent": "no reading arrives",
    "quorum lost": "settlements fall short of the quorum",
    "dispute": "a dispute is open",
    "rpc storm": "a client sends hundreds of requests a minute",
    "scrapes slow": "a scrape takes 6.5 s",
    "no backup": "the night's backup fails",
    "log grows": "the log grows eighteen times as fast",
}
"""What each kind of incident of the synthetic week does."""


def threshold_table() -> str:
    """Every number, with its unit and the reason for it."""
    rows = ["| alert | fires when | because |", "|---|---|---|"]
    for one in thresholds.load():
        measure = f"<code>{escape(one.measure, quote=False).replace('|', '&#124;')}</code>"
        unit = "" if one.unit == "ratio" else f" {one.unit}"
        when = f"{measure} {one.comparison} **{tuning_table.compact(one.value)}**{unit}"
        rows.append(f"| `{one.key}` | {when} | {one.because} |")
    return "\n".join(rows)


def threshold_pictures() -> str:
    """A marker for each threshold's picture; the site puts the picture there once it is drawn."""
    shows = "the week's values, their distribution, the threshold and the 80th percentile"
    return "\n\n".join(f"<!-- picture: thresholds/{one.key}: {one.key}: {shows} -->" for one in thresholds.load())


def incident_table() -> str:
    """What goes wrong in the synthetic week, and when."""
    rows = ["| day, UTC | minutes | incident |", "|---|---|---|"]
    for one in sorted(staging_week.INCIDENTS, key=lambda one: (one.day, one.minute)):
        at = f"{one.day}, {one.minute // 60:02d}:{one.minute % 60:02d}"
        rows.append(f"| {at} | {one.minutes} | {one.kind}: {INCIDENTS[one.kind]} |")
    return "\n".join(rows)
