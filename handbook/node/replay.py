"""What the file of an event log says: its last checkpoint, and the events behind it.

Read through a read-only connection, so a damaged file is reported and left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from handbook.node import events as ev
from handbook.node import library
from handbook.node.apply import apply
from handbook.node.failure import StartFailure, Unreadable
from handbook.node.library import Library
from handbook.node.state import State, decode_state

APPLICATION_ID = 0x54426D6E  # "TBmn"
FORMAT = 1
FULL_CHECK_BYTES = 16 * 2**20
"""Up to this size a start also lets SQLite check every page; beyond it, only what is read is checked."""

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE event (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, state BLOB NOT NULL, crc INTEGER NOT NULL);
"""


def create(path: Path) -> None:
    """Under another name first: a node killed here leaves no half-made file that looks damaged."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    try:
        db = sqlite3.connect(new)
        db.executescript(_SCHEMA)
        db.close()
        os.replace(new, path)
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    except (sqlite3.Error, OSError) as error:
        raise StartFailure(
            f"{path}: {error}", "expected a directory that can be written", f"ls -ld {path.parent}"
        ) from None


def load(path: Path, check_pages: bool = True) -> tuple[int, int, State]:
    """Last event, the checkpoint it started from, and the state.

    Raises StartFailure for a file that cannot be trusted.
    """
    db = None
    try:
        size = path.stat().st_size
        if not size:
            raise damaged(path, "the file is empty")
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise damaged(path, "not a mock node's file")
        if (version := db.execute("PRAGMA user_version").fetchone()[0]) != FORMAT:
            raise damaged(path, f"written in format {version}")
        if check_pages and size <= FULL_CHECK_BYTES:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise damaged(path, found.replace("\n", " "))
        return _replay(path, db, size <= FULL_CHECK_BYTES)
    except Unreadable as error:
        raise damaged(path, error.reason or "") from None
    except sqlite3.Error as error:
        raise damaged(path, str(error)) from None
    except OSError as error:
        raise StartFailure(f"{path}: {error.strerror}", "expected a readable file", f"ls -l {path}") from None
    finally:
        if db:
            db.close()


def _replay(path: Path, db: sqlite3.Connection, whole: bool) -> tuple[int, int, State]:
    state, seq = State(), 0
    pages = Library(db)
    row = db.execute("SELECT seq, state, crc FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
    if row:
        seq = row[0]
        if crc32(row[1]) != row[2]:
            raise damaged(path, f"checkpoint {seq} fails its checksum")
        state = decode_state(row[1])
        state.limiters = {}
        if rows := library.rows_of(row[1]):
            pages.check(rows, whole)
    lend(state, pages)
    start = seq
    for number, event in _events(path, db, start):
        seq = number
        if isinstance(event, ev.Reverted | ev.Loaded):
            raise damaged(path, f"the checkpoint of event {number} is missing")
        apply(state, event)
    return seq, start, state


def _events(path: Path, db: sqlite3.Connection, after: int) -> Iterator[tuple[int, ev.Event]]:
    expected = after + 1
    for seq, body, crc in db.execute("SELECT seq, body, crc FROM event WHERE seq > ? ORDER BY seq", (after,)):
        if seq != expected:
            raise damaged(path, f"event {expected} is missing")
        raw = body.encode()
        if crc32(raw) != crc:
            raise damaged(path, f"event {seq} fails its checksum")
        try:
            yield seq, ev.decode(raw)
        except msgspec.DecodeError as error:
            raise damaged(path, f"event {seq}: {error}") from None
        expected += 1


def lend(state: State, pages: Library) -> None:
    """Lets the state read its pages there."""
    state.records.read = state.snapshots.read = pages.read


def damaged(path: Path, why: str) -> StartFailure:
    """Why a node does not start on it, and what to do."""
    hint = f"restore {path.parent} from a backup, or keep what is readable: handbook salvage {path.parent}"
    return StartFailure(f"{path} cannot be used: {why}", f"expected a mock node's event log, format {FORMAT}", hint)
