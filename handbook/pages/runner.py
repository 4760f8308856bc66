"""Runs a page's blocks in order and gives each a verdict.

A block that is asked for alone first runs the blocks above it, silently: a page is one session.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook import facts
from handbook.pages import examples
from handbook.pages.compare import compare_output, indent
from handbook.pages.page import Block, Page
from handbook.pages.program import PythonFailed, in_session, run_program
from handbook.pages.session import Session
from handbook.pages.staging import Staging, prove
from handbook.target import Seen, Target

TIME_LIMIT = 60.0
"""Seconds a block may take unless it says `timeout="…"`."""
RUN = ("bash", "python")
MET = {"mock"}
"""What `needs=` may name that a mock node gives."""
ABSENT = {
    "node-source": "needs a checkout of the node's source and its toolchain",
    "contract-cli": "needs the node's command-line client, contract-cli",
    "systemd": "needs a host that runs the node under systemd",
    "grafana": "needs a Grafana server",
    "real-node": "needs a real node",
    "people": "needs people",
}


@dataclass(frozen=True)
class Verdict:
    """What became of a block. `outcome` is passed, failed or excused."""

    block: Block
    outcome: str
    seconds: float = 0.0
    message: str = ""
    """Why it failed, or the reason it is excused."""


@dataclass(frozen=True)
class Rewrite:
    """New content for an output block, found by `--update`."""

    block: Block
    text: str


@dataclass(frozen=True)
class Done:
    """What the last block that ran printed, for the output block under it."""

    block: Block
    output: str
    seen: Seen
    """What the node saw of it."""


class PageRun:
    """One pass over one page. `python` runs a python block and returns what it printed."""

    def __init__(
        self,
        page: Page,
        target: Target,
        *,
        allow_writes: bool = False,
        update: bool = False,
        python: Callable[[Block], str] | None = None,
        staging: Staging | None = None,
    ) -> None:
        self.page, self.target = page, target
        self.allow_writes, self.update = allow_writes, update
        self.rewrites: list[Rewrite] = []
        self._python = python or self.run_python
        self._staging, self._own_staging = staging or Staging(), staging is None
        self._verdicts: dict[str, Verdict] = {}
        self._last: Done | None = None
        self._broken: Block | None = None
        self._session: Session | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="handbook-"))
        self._started = False

    def verdict(self, wanted: Block) -> Verdict:
        """Runs the page as far as `wanted`, but for blocks that stand alone."""
        for block in self.page.blocks:
            if "case" in block.attrs and block.id != wanted.id:
                continue
            if block.id not in self._verdicts:
                self._verdicts[block.id] = self._judge(block)
            if block.id == wanted.id:
                return self._verdicts[block.id]
        raise LookupError(f"{self.page.path} has no block {wanted.id}")

    def close(self) -> None:
        if self._session:
            self._session.close()
        if self._own_staging:
            self._staging.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # One block -------------------------------------------------------------------------------------------------

    def _judge(self, block: Block) -> Verdict:
        unknown = [need for need in block.needs if need not in MET and need not in ABSENT]
        if unknown:
            known = ", ".join(sorted(MET | set(ABSENT)))
            message = f"{block.where}: needs {unknown[0]!r}, which nobody defined\n  hint: one of {known}"
            return Verdict(block, "failed", message=message)
        reason = block.attrs.get("excused") or self._unmet(block)
        if reason:
            if block.lang in RUN:
                self._last = None
            return Verdict(block, "excused", message=reason)
        started = time.perf_counter()
        try:
            problem = self._prove(block)
        except Exception as error:  # a defect of ours must not pass for a verdict on the page
            problem = f"{block.where}: the engine failed: {type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        return Verdict(block, "failed" if problem else "passed", seconds, problem)

    def _unmet(self, block: Block) -> str:
        """Why the block cannot run here; empty if it can."""
        for need in block.needs:
            if need == "mock" and not self.target.is_mock:
                return "needs the mock node's control listener"
            if need in ABSENT:
                return ABSENT[need]
        if "case" in block.attrs and block.lang in RUN and not self.target.is_mock:
            return "runs on a mock node in the state that its case names"
        if block.lang in RUN and not self.target.is_mock:
            if self.page.meta.get("node") == "own":
                return "a drill: only on mock nodes of its own"
            if block.effect == "destructive":
                return "destructive: never on a live node"
            if block.effect == "write" and not self.allow_writes:
                return "writes: not on a live node without --allow-writes"
        if block.is_output and self._last is None and self._above_is_excused(block):
            return "the block above it is excused"
        return ""

    def _above_is_excused(self, block: Block) -> bool:
        above = self.page.blocks[: self.page.blocks.index(block)]
        ran = [b for b in above if b.lang in RUN]
        return bool(ran) and self._verdicts[ran[-1].id].outcome == "excused"

    def _prove(self, block: Block) -> str:
        if "case" in block.attrs:
            return self._staging.perform(block, self._alone)[0] if block.lang in RUN else prove(block)
        if block.is_output:
            return self._compare(block)
        if block.lang in RUN:
            return self._execute(block)
        if block.lang == "promql":
            from handbook.pages import queries

            return "\n".join(queries.check(block, self.target))
        check = examples.CHECKS.get(block.lang)
        if check is None:
            known = ", ".join((*RUN, *examples.CHECKS, "promql"))
            return (
                f"{block.where}: nothing here can prove a {block.lang!r} block"
                f'\n  hint: one of {known}; .output under the block that prints it; or excused="why"'
            )
        return "\n".join(check(block))

    # Blocks that run -------------------------------------------------------------------------------------------

    def _execute(self, block: Block) -> str:
        if self._broken:
            self._last = None
            return f"{block.where}: not run, because the session ended at {self._broken.where}"
        self._start()
        problem, output = (self._bash if block.lang == "bash" else self._run_python_block)(block)
        seen = self.target.seen()
        self._last = Done(block, output, seen)
        if not problem and block.effect == "read" and seen.changed:
            writes = [call for call in seen.calls if call["changed"]]
            problem = (
                f"{block.where}: declared as a read, but the node changed\n{_calls(writes)}"
                '\n  hint: {.bash effect="write"}'
            )
        elif problem and seen.calls:
            problem += f"\n  the node saw:\n{_calls(seen.calls)}"
        return problem

    def _bash(self, block: Block) -> tuple[str, str]:
        if self._session is None:
            self._session = Session(self._directory, self._env())
        problem, output, alive = self._in_session(self._session, block)
        if not alive:
            self._broken = block
        return problem, output

    def _in_session(self, session: Session, block: Block) -> tuple[str, str, bool]:
        """What went wrong, what was printed, and whether the session lives on."""
        declared = int(block.attrs.get("exit", "0"))
        limit = float(block.attrs.get("timeout", TIME_LIMIT))
        ran = session.run(block.text, block.page, block.body_line, limit, subshell="exit" in block.attrs)
        output = re.sub(rf"{re.escape(block.page)}: line \d+: ", "bash: ", ran.output)
        if ran.status == declared and (ran.alive or ran.status):
            return "", output, ran.alive
        if not ran.status or (ran.status == 125 and ran.alive):
            return f"{block.where}: is left before its last line", output, ran.alive
        what = f"exit status {ran.status}"
        if ran.status == 124 and not ran.alive:
            what = f"not finished after {limit:.0f} s"
        shown = f"  ran:\n{indent(block.text)}\n  printed:\n{indent(ran.output)}"
        return f"{block.where}: {what}, expected {declared}\n{shown}", output, ran.alive

    def _alone(self, block: Block, directory: Path, env: dict[str, str]) -> tuple[str, str]:
        """Runs a block in a shell or process of its own."""
        env = {**self._env(directory), **env}
        if block.lang == "bash":
            session = Session(directory, env)
            try:
                return self._in_session(session, block)[:2]
            finally:
                session.close()
        try:
            with in_session(directory, env):
                return "", run_program(block, float(block.attrs.get("timeout", TIME_LIMIT)))
        except PythonFailed as failed:
            return failed.message, failed.output

    def _run_python_block(self, block: Block) -> tuple[str, str]:
        try:
            return "", self._python(block)
        except PythonFailed as failed:
            return failed.message, failed.output

    def run_python(self, block: Block) -> str:
        """Runs a python block as `__main__`, in the session's directory and environment. Raises PythonFailed."""
        self._start()
        with in_session(self._directory, self._env()):
            return run_program(block, float(block.attrs.get("timeout", TIME_LIMIT)))

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        node = self.page.meta.get("node", {})
        if isinstance(node, dict):
            self.target.reset(node)
        if self.page.meta.get("directory") == "checkout":
            for entry in facts.ROOT.iterdir():
                if not entry.name.startswith(".") and entry.name != "build":
                    (self._directory / entry.name).symlink_to(entry)

    def _env(self, directory: Path | None = None) -> dict[str, str]:
        """Clean: what a page may rely on, and nothing of the shell that started us."""
        directory = directory or self._directory
        for name in (".home", ".tmp"):
            (directory / name).mkdir(exist_ok=True)
        path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            "PATH": path,
            "HOME": str(directory / ".home"),
            "TMPDIR": str(directory / ".tmp"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "TERM": "dumb",
            **self.target.addresses.env(),
        }

    # Output blocks ---------------------------------------------------------------------------------------------

    def _compare(self, block: Block) -> str:
        if self._last is None:
            return (
                f"{block.where}: an output block, but no block above it ran"
                "\n  hint: it stands right under the bash or python block that prints it"
            )
        done, self._last = self._last, None
        got = done.output.rstrip("\n")
        problem = compare_output(block, got)
        if problem and self.update:
            self.rewrites.append(Rewrite(block, got))
            return ""
        if problem and done.seen.calls:
            problem += f"\n  the node saw:\n{_calls(done.seen.calls)}"
        return problem


def _calls(calls: Any) -> str:
    shown = [
        f"    {call['method']} {json.dumps(call['params'])[:200]} -> "
        + ("ok" if call["ok"] else f"{call['error']['code']} {call['error']['message']}")
        + (" (changed the node)" if call["changed"] else "")
        for call in calls[-8:]
    ]
    more = [f"    … {len(calls) - 8} earlier calls"] if len(calls) > 8 else []
    return "\n".join(more + shown)
