"""The report of a run: `build/report.json`, published schema `report`. It comes back onto the site as data."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handbook import facts
from handbook.pages.runner import Verdict

FORMAT = 2
PATH = facts.ROOT / "build" / "report.json"
OUTCOMES = ("passed", "failed", "excused")


@dataclass(frozen=True)
class Entry:
    """One block's verdict, as it stands in a report."""

    id: str
    line: int
    lang: str
    hash: str
    outcome: str
    seconds: float
    message: str
    build: str
    """The node it ran on."""
    at: str
    """When, UTC, ISO 8601."""


@dataclass(frozen=True)
class PageReport:
    inputs: str
    """Digest of what the verdicts rest on."""
    blocks: tuple[Entry, ...]


@dataclass
class Report:
    """Verdicts by page. Pages that a run did not touch keep their old verdicts."""

    pages: dict[str, PageReport] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """How many blocks have each outcome; the three outcomes are always there."""
        found = Counter(dict.fromkeys(OUTCOMES, 0))
        found.update(entry.outcome for page in self.pages.values() for entry in page.blocks)
        return found

    def find(self, page: str, block_id: str, content_hash: str) -> Entry | None:
        """The verdict for that very content; None when there is none, or only one for other content."""
        for entry in self.pages[page].blocks if page in self.pages else ():
            if entry.id == block_id and entry.hash == content_hash:
                return entry
        return None


def add(report: Report, verdicts: Iterable[Verdict], build: str, inputs: Mapping[str, str]) -> None:
    """Replaces the pages that `verdicts` speak of; `inputs` are their digests."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh: dict[str, list[Entry]] = {}
    for v in verdicts:
        block = v.block
        entry = Entry(
            block.id, block.line, block.lang, block.hash, v.outcome, round(v.seconds, 4), v.message, build, at
        )
        fresh.setdefault(block.page, []).append(entry)
    report.pages.update({page: PageReport(inputs[page], tuple(entries)) for page, entries in fresh.items()})


def merge(verdicts: Iterable[Verdict], build: str, inputs: Mapping[str, str], path: Path = PATH) -> None:
    """Puts the pages of this run into the report at `path`; runs side by side wait for one another.

    A report of another version, or one that was cut off, is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            report = read(path) or Report()
        except ValueError:
            report = Report()
        add(report, verdicts, build, inputs)
        write(report, path)


def write(report: Report, path: Path = PATH) -> None:
    """Atomically: a reader sees the old report or the new one."""
    counts = report.counts()
    document = {
        "format": FORMAT,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "pages": {
            path: {"inputs": page.inputs, "blocks": [vars(entry) for entry in page.blocks]}
            for path, page in sorted(report.pages.items())
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(scratch, path)


def read(path: Path = PATH) -> Report | None:
    """None when there is no report. Raises ValueError with what to do for one that cannot be read."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise KeyError(f"format {document['format']}, expected {FORMAT}")
        return Report(
            {
                path: PageReport(page["inputs"], tuple(Entry(**entry) for entry in page["blocks"]))
                for path, page in document["pages"].items()
            }
        )
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a report: {error}\n  hint: remove it and run `handbook verify`") from None
