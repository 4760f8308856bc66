"""A session: one bash that runs a page's blocks in order, in a directory of its own.

Every block runs with errexit, nounset and pipefail; variables and functions live on to the next block. A block with a
declared exit status runs in a subshell, so that the session outlives it. Standard input is /dev/null, standard output
and error come together, as on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

OUTPUT_LIMIT = 1_000_000
"""Bytes of output that are kept; a block that prints more fails a comparison anyway."""


@dataclass(frozen=True)
class Ran:
    """What one block did."""

    status: int
    """Exit status; 124 when the time limit ended it, as coreutils' timeout says it."""
    output: str
    seconds: float
    alive: bool
    """Whether the session can run another block."""


class Session:
    """`directory` must exist and is the blocks' working directory; `env` is the whole environment."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        bash = shutil.which("bash")
        if bash is None:
            raise FileNotFoundError("bash is not installed (Debian package: bash)")
        self._scratch = directory / ".session"
        self._scratch.mkdir()
        self._output = self._scratch / "output"
        status_read, status_write = os.pipe()
        try:
            self._bash = subprocess.Popen(
                [bash, "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=directory,
                env=env,
                pass_fds=(status_write,),
                start_new_session=True,
            )
        finally:
            os.close(status_write)
        self._status = status_read
        self._send(f"exec 9>&{status_write} {status_write}>&-; set -euo pipefail")

    def run(self, source: str, name: str, line: int, timeout: float, subshell: bool = False) -> Ran:
        """Runs `source`, which stands at `line` of page `name`: bash's own messages then carry page and line."""
        script = self._scratch / name
        script.parent.mkdir(parents=True, exist_ok=True)
        end = "" if subshell else "\n_block_end=$?\n"  # reached only if the block runs to its last line
        script.write_text("\n" * (line - 1) + source + end)
        redirect = f">'{self._output}' 2>&1 </dev/null 9>&-"
        started = time.monotonic()
        if subshell:
            self._send(f"set +e; ( set -euo pipefail; . '{script}' ) {redirect}; status=$?; set -e; echo $status >&9")
        else:
            self._send(f"set -euo pipefail; _block_end=125; {{ . '{script}'; }} {redirect}; echo $_block_end >&9")
        status = self._await(timeout)
        seconds = time.monotonic() - started
        output = self._read_output(f"{self._scratch}/")
        if status is None:
            self.close()
            return Ran(124, output, seconds, alive=False)
        if status:
            return Ran(int(status), output, seconds, alive=True)
        return Ran(self._bash.wait(), output, seconds, alive=False)

    def close(self) -> None:
        """Ends the session and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        if self._bash.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._bash.stdin.close()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1

    def _send(self, command: str) -> None:
        assert self._bash.stdin
        with contextlib.suppress(BrokenPipeError):  # bash has gone; _await sees the end of the status pipe
            self._bash.stdin.write(command.encode() + b"\n")
            self._bash.stdin.flush()

    def _await(self, timeout: float) -> str | None:
        """The status line; "" when bash ended; None when the time is over."""
        ready, _, _ = select.select([self._status], [], [], timeout)
        if not ready:
            return None
        return os.read(self._status, 64).decode().strip()

    def _read_output(self, scratch: str) -> str:
        with self._output.open("rb") as file:
            return file.read(OUTPUT_LIMIT).decode(errors="replace").replace(scratch, "")
