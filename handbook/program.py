"""Runs a python block: a whole program, as `__main__`, with pytest's assertion rewriting."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handbook.compare import indent
from handbook.page import Block


class PythonFailed(Exception):
    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.message, self.output = message, output


def run_program(block: Block, limit: float) -> str:
    """Executes the block's source with `__name__ == "__main__"`; what it printed. Raises PythonFailed."""
    out = io.StringIO()
    source = "\n" * (block.body_line - 1) + block.text
    try:
        tree = ast.parse(source, filename=block.page)
        _rewrite_asserts(tree, source)
        code = compile(tree, block.page, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), _alarm(limit):
            exec(code, {"__name__": "__main__", "__file__": block.page})
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise PythonFailed(f"{block.where}: ended with {ended.code!r}", out.getvalue()) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        line = _line_of(error, block)
        printed = f"\n  printed:\n{indent(out.getvalue())}" if out.getvalue() else ""
        said = str(error) or "(no message)"
        raise PythonFailed(f"{block.page}:{line}: {type(error).__name__}: {said}{printed}", out.getvalue()) from None
    return out.getvalue()


def _rewrite_asserts(tree: ast.Module, source: str) -> None:
    """pytest's assertion rewriting: a failed assert says what the two sides were."""
    from _pytest.assertion.rewrite import rewrite_asserts

    rewrite_asserts(tree, source.encode())


def _line_of(error: BaseException, block: Block) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or block.line
    line, trace = block.line, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == block.page:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError(f"not finished after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def in_session(directory: Path, env: dict[str, str]) -> Iterator[None]:
    before, here = dict(os.environ), Path.cwd()
    os.environ.update(env)
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
