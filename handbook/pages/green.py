"""The last run in which everything passed: `build/green.json`. While nothing changes, `--reuse` need not repeat it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from handbook import facts
from handbook.pages import inputs

PATH = facts.ROOT / "build" / "green.json"


@dataclass(frozen=True)
class Green:
    inputs: str
    """Digest of the checkout and its programs."""
    at: str
    """UTC, ISO 8601."""
    passed: int
    skipped: int


def last(path: Path = PATH) -> Green | None:
    """The last green run of this very checkout; None if there was none, or anything has changed since."""
    try:
        green = Green(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return green if green.inputs == inputs.of_checkout() else None


def remember(passed: int, skipped: int, path: Path = PATH) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(vars(Green(inputs.of_checkout(), at, passed, skipped))) + "\n")
