"""Looks at Prometheus all the time, so that no alert fires unseen and nobody has to ask twice."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from handbook.chain.stack import Stack

SECONDS = 0.3
Key = tuple[str, str]
"""Name of an alert, and its instance; empty for an alert without one."""


@dataclass
class Fired:
    """When it was first and last seen firing, `time.monotonic()`."""

    first: float
    last: float


class Watch:
    """Runs from the constructor on until it is stopped; `failed` is why it stopped by itself."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._stop = stack, threading.Event()
        self._fired: dict[Key, Fired] = {}
        self.looked = 0.0
        """When it last had an answer."""
        self.failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fired(self) -> dict[Key, Fired]:
        """Every alert that was ever seen firing."""
        return dict(self._fired)

    def firing(self, key: Key) -> bool:
        """As of the last look."""
        seen = self._fired.get(key)
        return seen is not None and seen.last >= self.looked

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            try:
                found = self._stack.query('ALERTS{alertstate="firing"}')
            except OSError as error:
                if not self._stop.is_set():
                    self.failed = error
                return
            now = time.monotonic()
            for sample in found:
                key = (sample["metric"]["alertname"], sample["metric"].get("instance", ""))
                self._fired.setdefault(key, Fired(now, now)).last = now
            self.looked = now
