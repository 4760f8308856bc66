"""Runs a python block: a whole program, as `__main__`, in a process of its own, with pytest's assertion rewriting."""

from __future__ import annotations

import ast
import contextlib
import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from handbook.pages.compare import indent
from handbook.pages.page import Block
from handbook.pages.session import OUTPUT_LIMIT

REACHED_END = "end"
PIPE_LIMIT = 65_536
"""Bytes of one message that a pipe takes at once."""


class PythonFailed(Exception):
    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.message, self.output = message, output


def run_program(block: Block, limit: float) -> str:
    """Executes the block's source with `__name__ == "__main__"` in a child process; what it printed.

    The child says when it has come to the end: whatever ends it before that, `os._exit(0)` included, is a failure.
    Raises PythonFailed.
    """
    with tempfile.TemporaryFile() as printed:
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if not child:
            os.close(read)
            _be_the_program(block, printed.fileno(), write)
        os.close(write)
        said = _wait(child, read, limit)
        printed.seek(0)
        output = printed.read(OUTPUT_LIMIT).decode(errors="replace")
    if said == REACHED_END:
        return output
    shown = f"\n  printed:\n{indent(output)}" if output else ""
    if said is None:
        raise PythonFailed(f"{block.where}: not finished after {limit:.0f} s{shown}", output)
    raise PythonFailed(f"{said or f'{block.where}: is left before its last line'}{shown}", output)


def _be_the_program(block: Block, printed: int, write: int) -> NoReturn:
    """The child's whole life."""
    said = ""
    try:
        os.setsid()
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = sys.stderr = os.fdopen(1, "w", 1, "utf-8", "backslashreplace")
        sys.stdin = os.fdopen(0)
        said = _execute(block)
        sys.stdout.flush()
    finally:
        os.write(write, said.encode()[:PIPE_LIMIT])
        os._exit(0)


def _execute(block: Block) -> str:
    """`REACHED_END`, or what went wrong and where."""
    in_threads: list[BaseException] = []
    threading.excepthook = lambda seen: in_threads.append(seen.exc_value or seen.exc_type())
    source = "\n" * (block.body_line - 1) + block.text
    try:
        tree = ast.parse(source, filename=block.page)
        last = tree.body[-1] if tree.body else None
        _rewrite_asserts(tree, source)
        code = compile(tree, block.page, "exec", dont_inherit=True)
        try:
            exec(code, {"__name__": "__main__", "__file__": block.page})
        except SystemExit as ended:
            if ended.code not in (None, 0):
                return f"{block.where}: ended with {ended.code!r}"
            if last is None or _top_line(ended, block) < last.lineno:
                return ""
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
        if in_threads:
            raise in_threads[0]
    except BaseException as error:
        said = str(error) or "(no message)"
        return f"{block.page}:{_line_of(error, block)}: {type(error).__name__}: {said}"
    return REACHED_END


def _wait(child: int, read: int, limit: float) -> str | None:
    """What the child said, "" when it ended without a word, None when its time was over. Ends all it started."""
    said, deadline = b"", time.monotonic() + limit
    try:
        while select.select([read], [], [], max(deadline - time.monotonic(), 0))[0]:
            part = os.read(read, PIPE_LIMIT)
            if not part:
                return said.decode(errors="replace")
            said += part
        return None
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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


def _top_line(error: BaseException, block: Block) -> int:
    """The line of the block's outermost frame."""
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == block.page:
            return trace.tb_lineno
        trace = trace.tb_next
    return 0


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
