"""A torn write, as a power cut in the middle of a commit leaves it."""

from __future__ import annotations

import os
from pathlib import Path

HEADER, FRAME_HEADER = 32, 24
"""Bytes of SQLite's write-ahead log: sqlite.org/fileformat2.html, section 4."""


def tear(wal: Path) -> int:
    """Zeroes the second half of the last page that the log holds; the byte where the damage begins.

    A start finds that the page's checksum fails, and takes the log up to the commit before.
    """
    with open(wal, "r+b") as file:
        head = file.read(HEADER)
        page, salts = int.from_bytes(head[8:12], "big"), head[16:24]
        at = last = HEADER
        while len(frame := file.read(FRAME_HEADER)) == FRAME_HEADER and frame[8:16] == salts:
            last, at = at, at + FRAME_HEADER + page
            file.seek(at)
        damage = last + FRAME_HEADER + page // 2
        file.seek(damage)
        file.write(bytes(page - page // 2))
        file.flush()
        os.fsync(file.fileno())
    return damage
