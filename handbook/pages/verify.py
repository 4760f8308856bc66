"""`handbook verify`: runs pages' blocks through pytest, with a line of progress per page and a report."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from handbook import facts
from handbook.pages.report import OUTCOMES
from handbook.pages.run import UNCHANGED
from handbook.target import Addresses

PAGES = ("README.md", "CONTRIBUTING.md", "docs", "runbooks", "monitoring")
WORDS = {"passed": "passed", "failed": "failed", "skipped": "excused"}


class Progress:
    """Prints a line per page while it runs, and what failed at the end."""

    def __init__(self) -> None:
        self.counts = Counter(dict.fromkeys(OUTCOMES, 0))
        self.pages = 0
        self.failures: list[str] = []
        self._page = ""
        self._of_page: Counter[str] = Counter()
        self._unchanged = ""
        self.unchanged = 0
        self._since = time.monotonic()
        self._live = sys.stdout.isatty()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failures.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        page = report.location[0]
        if page != self._page:
            self._end_line()
            self._page, self._of_page, self._since = page, Counter(), time.monotonic()
            self.pages += 1
            self._unchanged = ""
        if report.when == "call" or report.outcome != "passed":
            outcome = WORDS[report.outcome]
            self.counts[outcome] += 1
            self._of_page[outcome] += 1
            self._unchanged = str(dict(report.user_properties).get(UNCHANGED, ""))
            self.unchanged += bool(self._unchanged)
            if outcome == "failed":
                self.failures.append(report.longreprtext)
        if self._live:
            print(f"\r\033[K{self._line()}", end="", flush=True)

    def pytest_sessionfinish(self) -> None:
        self._end_line()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Also called for pytest.exit: no node to run on."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.failures.append(str(excinfo.value.msg))

    def _line(self) -> str:
        parts = [f"{self._of_page[o]} {o}" for o in OUTCOMES if self._of_page[o]]
        mark = "✗" if self._of_page["failed"] else "✓"
        took = f"{UNCHANGED} {self._unchanged}" if self._unchanged else f"{time.monotonic() - self._since:5.1f} s"
        return f"{mark} {self._page:<42} {', '.join(parts):<22} {took}"

    def _end_line(self) -> None:
        if self._page:
            print(f"\r\033[K{self._line()}" if self._live else self._line(), flush=True)
            self._page = ""

    def summary(self) -> str:
        blocks = sum(self.counts.values())
        parts = ", ".join(f"{self.counts[o]} {o}" for o in ("passed", "excused", "failed"))
        unchanged = f" ({self.unchanged} unchanged since they were run)" if self.unchanged else ""
        return f"{self.pages} page{'' if self.pages == 1 else 's'}, {blocks} blocks: {parts}{unchanged}"


def verify(
    pages: Sequence[str] = (),
    *,
    node: Addresses | None = None,
    allow_writes: bool = False,
    update: bool = False,
    report: Path | None = None,
    junit: Path | None = None,
    reuse: bool = False,
) -> Progress:
    """Runs the pages (all of them when none is named); the verdicts are in the report, the counts in the result.

    With `reuse` a page that passed, and rests on nothing that has changed, keeps its verdicts.
    """
    chosen = [str(Path(p).resolve()) if not Path(p).is_absolute() else p for p in pages]
    chosen = chosen or [str(facts.ROOT / p) for p in PAGES if (facts.ROOT / p).exists()]
    args = [
        *chosen,
        "--rootdir",
        str(facts.ROOT),
        "-c",
        str(facts.ROOT / "pyproject.toml"),
        "-p",
        "no:terminal",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
    ]
    if node:
        args += ["--node", node.node]
        args += ["--control", node.control] if node.control else []
        args += ["--metrics", node.metrics] if node.metrics else []
    args += ["--allow-writes"] if allow_writes else []
    args += ["--update-output"] if update else []
    args += ["--report", str(report)] if report else []
    args += ["--junitxml", str(junit)] if junit else []
    args += ["--reuse"] if reuse else []
    progress = Progress()
    status = pytest.main(args, plugins=[progress])
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    known = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if status not in known and not progress.failures:
        progress.failures.append(f"the run ended early ({pytest.ExitCode(status).name})")
    if status == pytest.ExitCode.TESTS_FAILED and not progress.failures:
        progress.failures.append("a page could not be rewritten, see above")
    if not progress.failures and sum(progress.counts.values()) == 0:
        progress.failures.append(f"no block found in: {', '.join(pages) or ', '.join(PAGES)}")
    return progress
