"""Items that measure speed run alone: while one of them runs, the other processes of a shared run wait.

Two lock files: who runs holds the second, shared or alone; who wants it alone holds the first meanwhile, so that it is
not passed by forever.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handbook import facts

PLACE = Path(os.environ.get("HANDBOOK_TURNS") or facts.ROOT / "build")
"""Processes that share it take turns. Another for a run inside a run, which would wait for itself."""


@contextmanager
def turn(alone: bool, place: Path = PLACE) -> Iterator[None]:
    """Waits for one's turn. The kernel gives it back when the process ends, however it ends."""
    place.mkdir(exist_ok=True)
    with (place / "turn.door").open("w") as door, (place / "turn.room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
