"""One server from a Debian package: started, ready, stopped. What it says goes to a file."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from handbook import tool

PATIENCE = 30.0
"""Seconds that anything may take which takes a moment on an idle machine."""


class NotInTime(Exception):
    """Something that was waited for did not come. The message says what."""


def wait_until(what: str, true: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.05) -> float:
    """Seconds that it took. Raises NotInTime."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            raise NotInTime(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
    return time.monotonic() - started


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


class Server:
    """Starts `name` with the arguments, by `prefix` where one is given. Raises tool.MissingTool."""

    def __init__(
        self, name: str, arguments: list[str], directory: Path, ready: str, prefix: tuple[str, ...] = ()
    ) -> None:
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, tool.program(name), *arguments], cwd=directory, stdout=log, stderr=subprocess.STDOUT
            )
        self._name, self._ready = name, ready

    def wait(self) -> None:
        """Until it is ready. Raises NotInTime with what it said last."""
        try:
            wait_until(f"{self._name} ready", lambda: self.process.poll() is not None or answers(self._ready))
        except NotInTime:
            self.stop()
            raise
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise NotInTime(f"{self._name} ended at its start: {said[-1] if said else 'it said nothing'}")

    def stop(self) -> None:
        tool.end(self.process)
