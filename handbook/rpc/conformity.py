"""What a conformance run found: as a table for people, as JSON for programs, as recorded calls."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from handbook import document
from handbook.rpc import recordings
from handbook.rpc.trial import BAD, VERDICTS, Result

VERSION = 1
_MARKS = {"passed": "✓", "failed": "✗", "deviates": "≠", "mended": "✗", "not run": "–"}
_SHOWN = 70


def table(results: Sequence[Result]) -> str:
    """One line per method: the counts, and the first difference with its JSON path."""
    of_method: dict[str, list[Result]] = {}
    for result in results:
        of_method.setdefault(result.case.method, []).append(result)
    wide = max(map(len, of_method), default=6)
    lines = [f"  {'method':<{wide}}  " + "  ".join(VERDICTS) + "  first difference"]
    for method, found in of_method.items():
        counts = Counter(result.verdict for result in found)
        columns = "  ".join(f"{counts[one] or '·':>{len(one)}}" for one in VERDICTS)
        lines.append(f"{_mark(counts)} {method:<{wide}}  {columns}  {_first(found)}".rstrip())
    return "\n".join(lines)


def failures(results: Iterable[Result]) -> list[str]:
    """Each case that makes the run fail: where it stands, and what differs."""
    return [f"{document.shown(one.case.path)}:\n  {_told(one)}" for one in results if one.verdict in BAD]


def reasons(results: Iterable[Result]) -> list[str]:
    """Why cases were not run, and how many."""
    counts = Counter(one.reason for one in results if one.verdict == "not run")
    return [f"{count} not run: {reason}" for reason, count in counts.most_common()]


def summary(results: Sequence[Result], node: str) -> str:
    counts = Counter(one.verdict for one in results)
    said = ", ".join(f"{counts[one]} {one}" for one in VERDICTS if counts[one])
    methods = len({one.case.method for one in results})
    counted = f"{methods} method{'s' * (methods != 1)}, {len(results)} case{'s' * (len(results) != 1)}"
    return f"{counted} on {node}: {said or 'none'}"


def report(results: Sequence[Result], node: str, build: str) -> dict[str, Any]:
    """By `schemas/conformance.json`."""
    counts = Counter(one.verdict for one in results)
    return {
        "version": VERSION,
        "node": node,
        "build": build,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
        "cases": [_entry(result) for result in results],
    }


def write(results: Sequence[Result], node: str, build: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report(results, node, build), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def record(results: Iterable[Result], file: Path) -> int:
    """Writes the calls as JSON lines, and says how many. Left out: what JSON lines cannot tell of.

    That is a start other than open, a token, a step of the control listener.
    """
    lines = [
        line
        for result in results
        if result.calls and result.case.node == "open" and not result.case.token and not result.case.mock_only
        for line in recordings.lines(result.case, result.calls)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _entry(result: Result) -> dict[str, Any]:
    judged, case = result.judged, result.case
    found: dict[str, Any] = {"case": case.id, "name": case.name, "method": case.method, "verdict": result.verdict}
    if judged is None:
        return found | {"reason": result.reason}
    found |= {"needed": result.needed, "level": judged.level, "seconds": round(result.seconds, 4)}
    if judged.difference:
        one = judged.difference
        found["difference"] = {"path": one.path, "expected": one.expected, "got": one.got}
    return found | ({"deviations": list(result.deviations)} if result.deviations else {})


def _mark(counts: Counter[str]) -> str:
    worst = next((one for one in ("failed", "mended", "deviates", "passed") if counts[one]), "not run")
    return _MARKS[worst]


def _first(found: Iterable[Result]) -> str:
    """Of the worst verdict; one that is in the answer itself before one that is in the calls before it."""
    differing = [one for one in found if one.verdict in (*BAD, "deviates")]
    if not differing:
        return ""
    result = min(differing, key=lambda one: (one.verdict == "deviates", one.answered is None))
    told = f"{', '.join(result.deviations)}: {result.told}" if result.verdict == "deviates" else result.told
    return _cut(told, _SHOWN)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _told(result: Result) -> str:
    if result.verdict == "mended" or result.judged is None:
        return result.told
    return f"{_cut(result.told, 4 * _SHOWN)} ({result.needed} is needed, {result.judged.level} holds)"
