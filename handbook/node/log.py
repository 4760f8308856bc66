"""The event log, in one SQLite file.

Events are appended, never changed. Now and then a checkpoint of the state makes a start quick; the last two are kept,
and events before them go, so that the file stops growing. A node that keeps all loses no event; what it has in memory
goes to pages, a few with each commit, so that neither memory nor checkpoints nor starts grow with what it keeps.

Durable: write-ahead log with `synchronous=FULL`; a commit that returned survives `kill -9` and power loss. Every row
carries a CRC-32.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from handbook.node import events as ev
from handbook.node import library
from handbook.node.failure import CommitFailed, LogLost, StartFailure
from handbook.node.library import Library
from handbook.node.replay import create, damaged, lend, load
from handbook.node.state import State, encode_state, marks

CHECKPOINT_EVERY = 25_000
"""Events. Rare enough that of 64 clients fewer than one call in a hundred waits for one."""
SWEEP_EVERY = 2000
"""Pages that gave way to newer ones, after which the unused are deleted."""

_SNAPSHOT = """
CREATE TABLE IF NOT EXISTS snapshot (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, seq INTEGER NOT NULL, state BLOB NOT NULL,
  crc INTEGER NOT NULL
)
"""


class _Files:
    """The log's two files, which nobody else may move or cut while it is open. SQLite would not notice."""

    def __init__(self, path: Path) -> None:
        self._seen = {one: _looked_up(one) for one in (str(path), f"{path}-wal")}

    def shrunk(self) -> bool:
        """Whether one is shorter than before. Raises LogLost unless both are the files that they were."""
        shorter = False
        for path, (inode, size) in self._seen.items():
            now = self._seen[path] = _looked_up(path)
            if now[0] != inode:
                raise _lost(path, "another file is in its place")
            shorter |= now[1] < size
        return shorter


def _looked_up(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _lost(path, f"{error.strerror}") from None
    return found.st_ino, found.st_size


def _lost(path: str, why: str) -> LogLost:
    hint = "stop the node before its data directory is moved, restored or deleted"
    return LogLost(f"{path}: {why}: expected the log that this node has written so far (hint: {hint})")


class EventLog:
    """Open log of a data directory. `seq` is the last stored event's number; the first is 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            if path.with_name(f"{path.name}-wal").exists():
                raise damaged(path, "the file is missing, but its write-ahead log is there")
            create(path)
        self.seq, self._checkpointed, self.state = load(path)
        self.db = self._open()
        self._files = _Files(path)
        self.library = Library(self.db)
        self.adopt(self.state)
        self._oldest, self._kept_from = self._bounds()
        self._replaced = 0

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, cached_statements=32)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_SNAPSHOT)
        db.execute(library.TABLE)
        return db

    def adopt(self, state: State) -> State:
        """Lets the state read its pages from this log."""
        lend(state, self.library)
        return state

    def append(self, bodies: list[bytes], state: State) -> None:
        """Commits the events; `state` is what they lead to. Raises CommitFailed when nothing was stored, LogLost."""
        self.check()
        rows = [(self.seq + n, body.decode(), crc32(body)) for n, body in enumerate(bodies, 1)]
        last = self.seq + len(rows)
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO event VALUES (?, ?, ?)", rows)
            if state.keep_all:
                self._put_away(state, 2 + len(rows) // 16)
            else:
                self._prune(2 * len(rows))
            if full := last - self._checkpointed >= CHECKPOINT_EVERY:
                self._checkpoint(last, state)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise CommitFailed(str(error)) from error
        self.seq = last
        if full:
            self._checkpointed = last

    def _prune(self, most: int) -> None:
        """Deletes events before the older checkpoint, oldest first: a few with each commit, so that none waits long."""
        if self._oldest < self._kept_from:
            upto = min(self._oldest + most, self._kept_from)
            self.db.execute("DELETE FROM event WHERE seq < ?", (upto,))
            self._oldest = upto

    def check(self) -> None:
        """Raises LogLost. A file that became shorter may have been tidied up: then all events are still there."""
        if self._files.shrunk():
            try:
                stored = load(self.path)[0]
            except StartFailure as failure:
                raise LogLost(str(failure)) from None
            if stored != self.seq:
                raise _lost(str(self.path), f"it was cut off behind event {stored}")

    def _put_away(self, state: State, most: int) -> None:
        self._replaced += state.records.put_away(self.library.write, marks, most)
        state.snapshots.put_away(self.library.write, lambda _: 0, most)

    def _sweep(self, state: State) -> None:
        """Deletes pages that neither the state nor a checkpoint or snapshot names."""
        kept = self.db.execute("SELECT state FROM checkpoint UNION ALL SELECT state FROM snapshot")
        used = library.rows_of(encode_state(state)).union(*(library.rows_of(blob) for (blob,) in kept))
        self.library.forget(used)
        self._replaced = 0

    def keep_wal(self) -> None:
        """Lets no commit move pages out of the write-ahead log any more."""
        self.db.execute("PRAGMA wal_autocheckpoint = 0")

    def _checkpoint(self, seq: int, state: State) -> None:
        blob = encode_state(state)
        self.db.execute("DELETE FROM checkpoint WHERE seq < (SELECT max(seq) FROM checkpoint) OR seq >= ?", (seq,))
        self.db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (seq, blob, crc32(blob)))
        self._kept_from = self._bounds()[1]
        if self._replaced >= SWEEP_EVERY:
            self._sweep(state)

    def _bounds(self) -> tuple[int, int]:
        """The oldest event, and the first that the older checkpoint needs."""
        first = self.db.execute("SELECT min(seq) FROM event").fetchone()[0]
        older = self.db.execute("SELECT min(seq) FROM checkpoint HAVING count(*) > 1").fetchone()
        return first or 1, older[0] + 1 if older else 1

    def store_checkpoint(self, seq: int, state: State) -> None:
        """Makes the state of event `seq` what the next start begins with."""
        self._checkpoint(seq, state)
        self.seq = self._checkpointed = seq

    def jump(self, event: ev.Reverted | ev.Loaded, state: State, bring: Callable[[], None] = lambda: None) -> None:
        """Commits the event and a checkpoint of the state that follows it, with the pages that `bring` adds first.

        Raises CommitFailed, LogLost, and what `bring` raises; then nothing has changed.
        """
        self.check()
        body, seq = ev.encode(event), self.seq + 1
        try:
            self.db.execute("BEGIN IMMEDIATE")
            bring()
            self.db.execute("INSERT INTO event VALUES (?, ?, ?)", (seq, body.decode(), crc32(body)))
            self._checkpoint(seq, state)
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            raise CommitFailed(str(error)) from error
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
                self.library.read.cache_clear()
        self.adopt(state)
        self.seq = self._checkpointed = seq

    def start_over(self) -> State:
        """Forgets everything. The next event is number 1. Raises CommitFailed."""
        self.check()
        tables = ("event", "checkpoint", "snapshot", "page")
        try:
            self.db.execute("BEGIN IMMEDIATE")
            for table in tables:
                self.db.execute(f"DELETE FROM {table}")
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise CommitFailed(str(error)) from error
        self.seq = self._checkpointed = self._replaced = 0
        self._oldest = self._kept_from = 1
        return self.adopt(State())

    def reload(self) -> State:
        """What is stored, read again."""
        self.seq, self._checkpointed, state = load(self.path, check_pages=False)
        self.library.read.cache_clear()
        return self.adopt(state)

    def close(self, state: State) -> None:
        """Leaves a checkpoint, so that the next start replays nothing."""
        try:
            if self.seq > self._checkpointed:
                self.db.execute("BEGIN IMMEDIATE")
                if state.keep_all:
                    self._put_away(state, 2 * len(state.records.hot))
                self._checkpoint(self.seq, state)
                if self.library.any():
                    self._sweep(state)
                self.db.execute("COMMIT")
        except sqlite3.Error:
            pass  # the events are stored; the next start replays them
        self.db.close()
