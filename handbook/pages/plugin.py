"""The pytest plugin: collects pages, runs their blocks.

`pytest docs runbooks`, `pytest docs/operations.md`, `pytest docs/operations.md::read-the-balance/1`, `-k`, `--lf` and
`--junitxml` work as they do for tests. A block that is run alone first has the blocks above it run. Python blocks are
items of pytest-markdown-docs, with a runner of ours; all others are items of this plugin.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pytest_markdown_docs._runners import _Runner, register_runner
from pytest_markdown_docs.definitions import FenceTestDefinition
from pytest_markdown_docs.plugin import MarkdownInlinePythonItem

from handbook import facts
from handbook.pages import green, inputs, turns
from handbook.pages import page as pages
from handbook.pages.compare import indent
from handbook.pages.run import UNCHANGED, NoNode, Options, Run
from handbook.target import Addresses


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
    group.addoption(
        "--reuse", action="store_true", help="do not run again what passed and rests on nothing that changed"
    )


RUN = pytest.StashKey[Run]()
GREEN = pytest.StashKey[green.Green]()


def pytest_configure(config: pytest.Config) -> None:
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    config.addinivalue_line("markers", "alone: measures speed; no other process of the run is at work meanwhile")
    option = config.getoption
    node, path = option("--node"), option("--report")
    if option("--reuse"):
        inputs.prime()
        if known := green.last():
            config.stash[GREEN] = known
    config.stash[RUN] = Run(
        Options(
            addresses=Addresses(node, option("--control"), option("--metrics")) if node else None,
            allow_writes=option("--allow-writes"),
            update=option("--update-output"),
            report=Path(path) if path else None,
            reuse=option("--reuse"),
        )
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM stops a run as Ctrl-C does: with the node and the sessions it started."""
    raise KeyboardInterrupt


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].finish()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):  # the only process
        return (yield)
    with turns.turn(item.get_closest_marker("alone") is not None):
        return (yield)


def judge(item: pytest.Item, page: pages.Page, block: pages.Block) -> None:
    """Raises BlockFailed, or pytest's skip with the reason."""
    run = item.config.stash[RUN]
    try:
        verdict = run.verdict(page, block)
    except NoNode as error:
        pytest.exit(str(error), returncode=4)
    if page.path in run.reused:
        item.user_properties.append((UNCHANGED, run.reused[page.path]))
    if verdict.outcome == "excused":
        pytest.skip(verdict.message)
    if verdict.outcome == "failed":
        raise BlockFailed(verdict.message)


# With --reuse: what passed and rests on nothing that changed is not run again --------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Pages answer from the report; the tests are left out if the whole checkout is as in the last green run."""
    if GREEN not in config.stash:
        return
    tests = [item for item in items if item.path.is_relative_to(facts.ROOT / "tests")]
    config.hook.pytest_deselected(items=tests)
    items[:] = [item for item in items if item not in set(tests)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [r for kind in terminalreporter.stats.values() for r in kind if isinstance(r, pytest.TestReport)]
    reused = {r.location[0]: str(at) for r in reports for what, at in r.user_properties if what == UNCHANGED}
    if reused:
        since = min(reused.values())
        terminalreporter.write_line(f"{len(reused)} pages unchanged since they were run ({since} or later)")
    if known := config.stash.get(GREEN, None):
        terminalreporter.write_line(
            f"tests not run: nothing has changed since {known.at}, when {known.passed} passed and {known.skipped} were "
            "skipped\n  hint: make test FRESH=1 runs all of it again"
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Ends the last page; remembers a green run of everything: one that was asked for no path, no name, no mark."""
    config = session.config
    run = config.stash.get(RUN, None)
    if run:
        run.end_page()
        for why in run.refused:
            print(why, file=sys.stderr)
        if run.refused:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if exitstatus or reporter is None or GREEN in config.stash or not config.getoption("--reuse"):
        return
    chosen = config.getoption("-k") or config.getoption("-m") or config.getoption("lf", False)
    if not chosen and config.args_source == pytest.Config.ArgsSource.TESTPATHS:
        green.remember(len(reporter.stats.get("passed", [])), len(reporter.stats.get("skipped", [])))


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
        if page.meta.get("alone"):
            self.add_marker("alone")
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
        judge(self, self.page, self.block)

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
        judge(PageRunner.current, PageRunner.current.page, PageRunner.current.block)

    def repr_failure(self, test: Any, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, BlockFailed):
            return f"{excinfo.value}\n  ran:\n{indent(test.source)}"
        return str(excinfo.getrepr(style="short"))
