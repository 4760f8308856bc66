"""Programs that are called: promtool, amtool and the servers, most of them from Debian packages.

They say SUCCESS to much that is dead (an empty rule file, a quantile of 95), so no check rests on their exit
status alone.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from handbook.problem import Problem

PACKAGES = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "shellcheck": "shellcheck",
}


class MissingTool(Exception):
    """A program is not installed. `problem` is what a check returns instead of its findings."""

    def __init__(self, name: str) -> None:
        package = PACKAGES[name]
        self.problem = Problem(
            name, "this program is not installed", f"apt-get install --no-install-recommends {package}"
        )
        super().__init__(str(self.problem))


@dataclass(frozen=True)
class Said:
    status: int
    output: str
    """Standard output, then standard error."""


def program(name: str) -> str:
    """Absolute path of the program. Raises MissingTool."""
    found = shutil.which(name)
    if found is None:
        raise MissingTool(name)
    return found


def end(process: subprocess.Popen[bytes], patience: float = 10) -> None:
    """Ends a server, by force after `patience` seconds."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(name: str, *arguments: str, directory: Path | None = None, seconds: float = 60) -> Said:
    """Raises MissingTool, or subprocess.TimeoutExpired after `seconds`."""
    done = subprocess.run(
        [program(name), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Said(done.returncode, done.stdout + done.stderr)
