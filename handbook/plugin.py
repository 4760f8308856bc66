"""The pytest plugin: collects pages, runs their blocks.

`pytest docs runbooks`, `pytest docs/operations.md`, `pytest docs/operations.md::read-the-balance/1`, `-k`, `--lf` and
`--junitxml` work as they do for tests. A block that is run alone first has the blocks above it run. Python blocks are
items of pytest-markdown-docs, with a runner of ours; all others are items of this plugin.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_markdown_docs._runners import _Runner, register_runner
from pytest_markdown_docs.definitions import FenceTestDefinition
from pytest_markdown_docs.plugin import MarkdownInlinePythonItem

from handbook import facts, report
from handbook import page as pages
from handbook.compare import indent
from handbook.control import Unreachable
from handbook.rewrite import rewrite
from handbook.runner import PageRun, Verdict
from handbook.target import Addresses, MockProcess, Target, live_node, own_node, running_mock


class BlockFailed(Exception):
    """A block's verdict is failed; the message begins with page and line."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("handbook", "pages and their blocks")
    group.addoption("--node", metavar="URL", help="run the blocks on this node instead of a mock of our own")
    group.addoption("--control", metavar="URL", help="control listener of --node, when it is a mock")
    group.addoption("--metrics", metavar="URL", help="metrics of --node, when it is a mock")
    group.addoption("--allow-writes", action="store_true", help="also run write blocks on a live --node")
    group.addoption("--update-output", action="store_true", help="write what blocks print into their output blocks")
    group.addoption("--report", metavar="FILE", help="write verdicts to this report")


class Run:
    """What one pytest run shares: the target, the page runs, the verdicts."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self.page_runs: dict[str, PageRun] = {}
        self._shared: Target | None = None
        self._mock: MockProcess | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def target(self, page: pages.Page) -> Target:
        shared = self._shared_target()
        return own_node(shared.build) if page.meta.get("node") == "own" and shared.is_mock else shared

    def _shared_target(self) -> Target:
        if self._shared is None:
            url, control = self.config.getoption("--node"), self.config.getoption("--control")
            try:
                if url and control:
                    self._shared = running_mock(Addresses(url, control, self.config.getoption("--metrics")))
                elif url:
                    self._shared = live_node(url)
                else:
                    self._scratch = tempfile.TemporaryDirectory(prefix="handbook-node-")
                    self._mock = MockProcess(Path(self._scratch.name))
                    self._shared = running_mock(self._mock.addresses)
            except (Unreachable, RuntimeError) as error:
                pytest.exit(f"no node to run the pages on: {error}", returncode=4)
        return self._shared

    def page_run(self, page: pages.Page) -> PageRun:
        if page.path not in self.page_runs:
            for other in self.page_runs.values():
                other.close()
            self.page_runs[page.path] = PageRun(
                page,
                self.target(page),
                allow_writes=self.config.getoption("--allow-writes"),
                update=self.config.getoption("--update-output"),
            )
        return self.page_runs[page.path]

    def judge(self, page: pages.Page, block: pages.Block) -> None:
        """Raises BlockFailed, or pytest's skip with the reason."""
        verdict = self.page_run(page).verdict(block)
        self.verdicts[block.page, block.id] = verdict
        if verdict.outcome == "excused":
            pytest.skip(verdict.message)
        if verdict.outcome == "failed":
            raise BlockFailed(verdict.message)

    def finish(self) -> None:
        """Stops what was started, whatever happens, and writes what was asked for."""
        try:
            for run in self.page_runs.values():
                run.close()
                run.target.close()
                if run.rewrites:
                    count = rewrite(run.page.file, ((r.block, r.text) for r in run.rewrites))
                    print(f"{run.page.path}: {count} output blocks rewritten")
            if (path := self.config.getoption("--report")) and self.verdicts and self._shared:
                whole = report.read(Path(path)) or report.Report()
                report.add(whole, self.verdicts.values(), self._shared.build)
                report.write(whole, Path(path))
        finally:
            if self._shared:
                self._shared.close()
            if self._mock:
                self._mock.stop()
            if self._scratch:
                self._scratch.cleanup()


RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUN] = Run(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].finish()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".md" or not _is_page(file_path, parent):
        return None
    collector: pytest.Collector = PageFile.from_parent(parent, path=file_path)
    return collector


def _is_page(file: Path, parent: pytest.Collector) -> bool:
    """Below tests/ only a page named on the command line is a page: the others there are cases or notes."""
    inside = file.is_relative_to(facts.ROOT / "tests")
    return not inside or any(Path(arg.split("::")[0]).resolve() == file for arg in parent.config.args)


class PageFile(pytest.File):
    """Collects every block of a page, in page order. A page that cannot be read is one failing item."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            page = pages.read_page(self.path)
        except pages.PageError as error:
            yield BrokenPage.from_parent(self, name="page", error=error)
            return
        for block in page.blocks:
            kind = PythonItem if block.lang == "python" and not block.is_output else BlockItem
            yield kind.of(self, page, block)


class BrokenPage(pytest.Item):
    def __init__(self, *, error: pages.PageError, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def runtest(self) -> None:
        raise BlockFailed(str(self.error))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.error.line - 1, f"{self.error.path}:{self.error.line}"


class BlockItem(pytest.Item):
    """A block that is not Python."""

    page: pages.Page
    block: pages.Block

    @classmethod
    def of(cls, parent: PageFile, page: pages.Page, block: pages.Block) -> BlockItem:
        item: BlockItem = cls.from_parent(parent, name=block.id)
        item.page, item.block = page, block
        return item

    def runtest(self) -> None:
        self.config.stash[RUN].judge(self.page, self.block)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, BlockFailed):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.block.line - 1, f"{self.block.where} {self.block.id}"


class PythonItem(MarkdownInlinePythonItem):
    """A python block: an item of pytest-markdown-docs that runs in its page's session."""

    page: pages.Page
    block: pages.Block

    @classmethod
    def of(cls, parent: PageFile, page: pages.Page, block: pages.Block) -> PythonItem:
        definition = FenceTestDefinition(
            source=block.text,
            fixture_names=(),
            start_line=block.body_line - 1,
            source_path=page.file,
            runner_name="PageRunner",
        )
        item: PythonItem = cls.from_parent(parent, name=block.id, test_definition=definition)
        item.page, item.block = page, block
        return item

    def setup(self) -> None:
        super().setup()  # type: ignore[no-untyped-call]  # pytest-markdown-docs has no types for it
        PageRunner.current = self

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.block.line - 1, f"{self.block.where} {self.block.id}"


@register_runner()
class PageRunner(_Runner):
    """Hands a python block to its page's run, which keeps the order of all languages."""

    current: PythonItem

    def runtest(self, test: FenceTestDefinition, args: dict[str, Any], *, asyncio_runner: Any = None) -> None:
        item = PageRunner.current
        item.config.stash[RUN].judge(item.page, item.block)

    def repr_failure(self, test: Any, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, BlockFailed):
            return f"{excinfo.value}\n  ran:\n{indent(test.source)}"
        return str(excinfo.getrepr(style="short"))
