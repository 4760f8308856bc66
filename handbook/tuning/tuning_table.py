"""What was measured for the thresholds, as text for a terminal."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from handbook.tuning.tuning import POINTS, STEP, Measured, Replay, Window

BY_CONSTRUCTION = (
    "The 80th percentile is exceeded a fifth of the time by construction.\n"
    "It shows how the window went; before it becomes a threshold, see its pages."
)
UNITS = {"seconds": "s", "block": "BLOCK", "bytes": "B", "bytes a day": "B/d", "per second": "/s"}
"""A count and a share have none."""
SCALES = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def table(measured: list[Measured], window: Window, mark: str = "") -> str:
    """The values' distribution, then pages and share of time that each number would have cost."""
    until = datetime.fromtimestamp(window.end, UTC).strftime("%Y-%m-%dT%H:%MZ")
    days = f"{window.seconds / 86_400:g} days until {until}, an evaluation every {STEP:g} s"
    distribution = [["measured", "unit", *POINTS]]
    pages = [["replayed", "now", "pages", "firing", "p80", "pages", "firing"]]
    tried = any(one.proposed for one in measured)
    if tried:
        pages[0] += ["set", "pages", "firing"]
    for one in measured:
        name, sign = one.threshold.key, one.threshold.comparison
        distribution.append(
            [name, UNITS.get(one.threshold.unit, ""), *(compact(value) for value in one.points.values())]
        )
        pages.append([name, *_replay(sign, one.now), *_replay(sign, one.eightieth)])
        if tried:
            pages[-1] += _replay(sign, one.proposed) if one.proposed else [""] * 3
    parts = [*([mark] if mark else []), days, "", *aligned(distribution, left=2), "", *aligned(pages, left=1)]
    lows = [one.threshold.key for one in measured if one.threshold.low]
    note = f"Of {', '.join(lows)} low values are the bad ones: there p80 is the 20th percentile."
    return "\n".join([*parts, "", *(textwrap.wrap(note, 80) if lows else ()), BY_CONSTRUCTION])


def _replay(sign: str, replay: Replay) -> list[str]:
    return [f"{sign} {compact(replay.value)}", str(replay.pages), f"{replay.share * 100:.1f} %"]


def compact(value: float) -> str:
    """Three figures, with k, M or G from ten thousand on: `12.3k`."""
    for scale, letter in SCALES:
        if abs(value) >= scale:
            return f"{value / (1e3 if letter == 'k' else scale):.3g}{letter}"
    shown = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in shown else shown


def aligned(rows: list[list[str]], left: int) -> list[str]:
    """Columns side by side, the first `left` of them flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
