"""The last walk of all alerts: `build/chain.json`. It comes back onto the site as data."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from handbook import facts
from handbook.chain.walk import Course

FORMAT = 1
PATH = facts.ROOT / "build" / "chain.json"


@dataclass(frozen=True)
class Result:
    """`at` is UTC, ISO 8601; `quiet` the seconds of silence before the first fault; `seconds` of the whole."""

    at: str
    seconds: float
    quiet: float
    courses: tuple[Course, ...]
    problems: tuple[str, ...]
    """What no single alert answers for: a stray one, a server that ended."""

    @property
    def passed(self) -> bool:
        return not self.problems and not any(course.problems for course in self.courses)


def result(seconds: float, quiet: float, courses: Sequence[Course], problems: Sequence[str]) -> Result:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Result(at, round(seconds, 1), round(quiet, 1), tuple(courses), tuple(problems))


def reach(found: Result) -> tuple[int, int]:
    """How many alerts reached their people and went again, whatever raised them, and of how many."""
    failed = {course.alert for course in found.courses if course.problems}
    alerts = {course.alert for course in found.courses}
    return len(alerts - failed), len(alerts)


def write(found: Result, path: Path = PATH) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps({"format": FORMAT, **asdict(found)}, indent=1) + "\n")
    os.replace(scratch, path)


def read(path: Path = PATH) -> Result | None:
    """None when there is none. Raises ValueError with what to do for one that cannot be read."""
    try:
        document = json.loads(path.read_text())
        if document.pop("format") != FORMAT:
            raise KeyError(f"expected format {FORMAT}")
        courses = tuple(Course(**course) for course in document.pop("courses"))
        return Result(courses=courses, problems=tuple(document.pop("problems")), **document)
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a result: {error}\n  hint: remove it and run `handbook chain`") from None
