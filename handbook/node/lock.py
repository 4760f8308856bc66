"""One process for one data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from handbook.node.failure import StartFailure


class Lock:
    """Keeps every other mock node out of the data directory for as long as this process lives."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        os.close(self._handle)


def lock(directory: Path) -> Lock:
    """Makes the directory if there is none. Raises StartFailure when another process has it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / "node.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StartFailure(f"{directory}: {error.strerror}", "expected a directory that can be written") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        hint = "stop that node, or give this one another --data-dir"
        raise StartFailure(
            f"{directory} is in use by process {holder}", "expected a directory of its own", hint
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return Lock(handle)
