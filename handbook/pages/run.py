"""One run over pages: the node they run on, the verdicts, the report. Knows nothing of pytest."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from handbook.control import Unreachable
from handbook.pages import inputs, report
from handbook.pages.page import Block, Page
from handbook.pages.rewrite import rewrite
from handbook.pages.runner import PageRun, Verdict
from handbook.pages.staging import Staging
from handbook.target import MOCK, Addresses, MockProcess, Target, live_node, own_node, running_mock

UNCHANGED = "unchanged since"
"""The name under which pytest's reports tell when a verdict that was taken over was found: a date."""


class NoNode(Exception):
    """There is no node to run the pages on."""


@dataclass(frozen=True)
class Options:
    """Without `addresses` the run starts a mock node of its own."""

    addresses: Addresses | None = None
    allow_writes: bool = False
    update: bool = False
    report: Path | None = None
    reuse: bool = False
    """Take the report's verdict for a page that passed and rests on nothing that has changed."""


class Run:
    def __init__(self, options: Options) -> None:
        self.options = options
        if options.report:
            inputs.prime()
        self._rewritten: set[str] = set()
        self.refused: list[str] = []
        """Pages that `--update` could not write, and why."""
        self.reused: dict[str, str] = {}
        """Pages whose verdicts come from the report, and when they were run."""
        self._pages: dict[str, Page] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._page_run: PageRun | None = None
        self._staging = Staging()
        self._shared: Target | None = None
        self._mock: MockProcess | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def verdict(self, page: Page, block: Block) -> Verdict:
        """Runs the page as far as the block. Raises NoNode."""
        if earlier := self._earlier(page, block):
            return earlier
        self._pages[page.path] = page
        verdict = self._on(page).verdict(block)
        self._verdicts[page.path, block.id] = verdict
        return verdict

    def finish(self) -> None:
        """Writes what was asked for and stops what was started, whatever happens."""
        try:
            self.end_page()
            if self.options.report and self._shared:
                whole = self._whole_pages()
                verdicts = (v for v in self._verdicts.values() if v.block.page in whole)
                report.merge(verdicts, self._shared.build, whole, self.options.report)
        finally:
            self._staging.close()
            if self._shared:
                self._shared.close()
            if self._mock:
                self._mock.stop()
            if self._scratch:
                self._scratch.cleanup()

    # The node --------------------------------------------------------------------------------------------------

    def _on(self, page: Page) -> PageRun:
        """The page's run; the page before it ends."""
        if self._page_run is None or self._page_run.page is not page:
            self.end_page()
            shared = self._target()
            own = page.meta.get("node") == "own" and shared.is_mock
            target = own_node(shared.build) if own else shared
            self._page_run = PageRun(
                page,
                target,
                allow_writes=self.options.allow_writes,
                update=self.options.update,
                staging=self._staging,
            )
        return self._page_run

    def end_page(self) -> None:
        """Closes the page that ran last, and writes what `--update` found."""
        run, self._page_run = self._page_run, None
        if run is None:
            return
        run.close()
        if run.target is not self._shared:
            run.target.close()
        if run.rewrites:
            self._rewritten.add(run.page.path)
            try:
                count = rewrite(run.page.file, ((r.block, r.text) for r in run.rewrites))
                print(f"{run.page.path}: {count} output blocks rewritten")
            except (RuntimeError, OSError) as error:
                self.refused.append(f"{error}\n  {run.page.path} is as it was")

    def _target(self) -> Target:
        if self._shared is None:
            at = self.options.addresses
            try:
                if at is None:
                    self._scratch = tempfile.TemporaryDirectory(prefix="handbook-node-")
                    self._mock = MockProcess(Path(self._scratch.name))
                    at = self._mock.addresses
                self._shared = running_mock(at) if at.control else live_node(at.node)
            except (Unreachable, RuntimeError) as error:
                raise NoNode(f"no node to run the pages on: {error}") from None
        return self._shared

    # The report ------------------------------------------------------------------------------------------------

    @cached_property
    def _report(self) -> report.Report:
        path = self.options.report
        try:
            return (report.read(path) if path else None) or report.Report()
        except ValueError:  # of another version, or cut off: this run writes a new one
            return report.Report()

    def _earlier(self, page: Page, block: Block) -> Verdict | None:
        at = self.options.addresses
        if not self.options.reuse or (at and not at.control):
            return None
        known = self._report.pages.get(page.path)
        if known is None or known.inputs != inputs.of_page(page):
            return None
        entries = {b.id: self._report.find(page.path, b.id, b.hash) for b in page.blocks}
        if any(e is None or e.outcome == "failed" or not e.build.startswith(MOCK) for e in entries.values()):
            return None
        entry = entries[block.id]
        assert entry
        self.reused[page.path] = entry.at
        return Verdict(block, entry.outcome, entry.seconds, entry.message)

    def _whole_pages(self) -> dict[str, str]:
        """Digests of the pages of which every block has a verdict; the others would lose theirs."""
        return {
            path: inputs.of_page(page)
            for path, page in self._pages.items()
            if path not in self._rewritten and all((path, block.id) in self._verdicts for block in page.blocks)
        }
