"""The event log, in one SQLite file.

Events are appended, never changed. Now and then a checkpoint of the state makes a start quick; the last two are kept,
and events before them go, so that the file stops growing. A node that keeps all loses no event and makes no checkpoint,
which would hold it up for seconds: its start replays everything.

Durable: write-ahead log with `synchronous=FULL`; a commit that returned survives `kill -9` and power loss. A start
reads through a read-only connection first, so a damaged file is reported and left as it is. Every row carries a
CRC-32.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from handbook.node import events as ev
from handbook.node.failure import CommitFailed, StartFailure
from handbook.node.state import State, apply

APPLICATION_ID = 0x54426D6E  # "TBmn"
FORMAT = 1
CHECKPOINT_EVERY = 25_000
"""Events. Rare enough that of 64 clients fewer than one call in a hundred waits for one."""
FULL_CHECK_BYTES = 16 * 2**20
"""Up to this size a start also lets SQLite check every page; beyond it, only what is read is checked."""

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE event (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, state BLOB NOT NULL, crc INTEGER NOT NULL);
"""
_SNAPSHOT = """
CREATE TABLE IF NOT EXISTS snapshot (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, seq INTEGER NOT NULL, state BLOB NOT NULL,
  crc INTEGER NOT NULL
)
"""
encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(State).decode


class EventLog:
    """Open log of a data directory. `seq` is the last stored event's number; the first is 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            if path.with_name(f"{path.name}-wal").exists():
                raise _damaged(path, "the file is missing, but its write-ahead log is there")
            create(path)
        self.seq, self._checkpointed, self.state = load(path)
        self.db = self._open()
        self._oldest, self._kept_from = self._bounds()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, cached_statements=32)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_SNAPSHOT)
        return db

    def append(self, bodies: list[bytes], state: State) -> None:
        """Commits the events; `state` is what they lead to. Raises CommitFailed when nothing was stored."""
        rows = [(self.seq + n, body.decode(), crc32(body)) for n, body in enumerate(bodies, 1)]
        last = self.seq + len(rows)
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO event VALUES (?, ?, ?)", rows)
            if not state.keep_all:
                self._prune(2 * len(rows))
            if full := last - self._checkpointed >= CHECKPOINT_EVERY and not state.keep_all:
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

    def keep_wal(self) -> None:
        """Lets no commit move pages out of the write-ahead log any more."""
        self.db.execute("PRAGMA wal_autocheckpoint = 0")

    def _checkpoint(self, seq: int, state: State) -> None:
        blob = encode_state(state)
        self.db.execute("DELETE FROM checkpoint WHERE seq < (SELECT max(seq) FROM checkpoint) OR seq >= ?", (seq,))
        self.db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (seq, blob, crc32(blob)))
        self._kept_from = self._bounds()[1]

    def _bounds(self) -> tuple[int, int]:
        """The oldest event, and the first that the older checkpoint needs."""
        first = self.db.execute("SELECT min(seq) FROM event").fetchone()[0]
        older = self.db.execute("SELECT min(seq) FROM checkpoint HAVING count(*) > 1").fetchone()
        return first or 1, older[0] + 1 if older else 1

    def store_checkpoint(self, seq: int, state: State) -> None:
        """Makes the state of event `seq` what the next start begins with."""
        self._checkpoint(seq, state)
        self.seq = self._checkpointed = seq

    def jump(self, event: ev.Reverted | ev.Loaded, state: State) -> None:
        """Commits the event and a checkpoint of the state that follows it. Raises CommitFailed."""
        body, seq = ev.encode(event), self.seq + 1
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("INSERT INTO event VALUES (?, ?, ?)", (seq, body.decode(), crc32(body)))
            self._checkpoint(seq, state)
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise CommitFailed(str(error)) from error
        self.seq = self._checkpointed = seq

    def start_over(self) -> None:
        """Forgets everything. The next event is number 1."""
        self.db.executescript(
            "BEGIN IMMEDIATE; DELETE FROM event; DELETE FROM checkpoint; DELETE FROM snapshot; COMMIT;"
        )
        self.seq = self._checkpointed = 0
        self._oldest = self._kept_from = 1

    def reload(self) -> State:
        """What is stored, read again."""
        self.seq, self._checkpointed, state = load(self.path, check_pages=False)
        return state

    def close(self, state: State) -> None:
        """Leaves a checkpoint, so that the next start replays nothing."""
        try:
            if self.seq > self._checkpointed and not state.keep_all:
                self.db.execute("BEGIN IMMEDIATE")
                self._checkpoint(self.seq, state)
                self.db.execute("COMMIT")
        except sqlite3.Error:
            pass  # the events are stored; the next start replays them
        self.db.close()


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
            raise _damaged(path, "the file is empty")
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise _damaged(path, "not a mock node's file")
        if (version := db.execute("PRAGMA user_version").fetchone()[0]) != FORMAT:
            raise _damaged(path, f"written in format {version}")
        if check_pages and size <= FULL_CHECK_BYTES:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _damaged(path, found.replace("\n", " "))
        return _replay(path, db)
    except sqlite3.Error as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise StartFailure(f"{path}: {error.strerror}", "expected a readable file", f"ls -l {path}") from None
    finally:
        if db:
            db.close()


def _replay(path: Path, db: sqlite3.Connection) -> tuple[int, int, State]:
    state, seq = State(), 0
    row = db.execute("SELECT seq, state, crc FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
    if row:
        seq = row[0]
        if crc32(row[1]) != row[2]:
            raise _damaged(path, f"checkpoint {seq} fails its checksum")
        state = decode_state(row[1])
    start = seq
    for number, event in _events(path, db, start):
        seq = number
        if isinstance(event, ev.Reverted | ev.Loaded):
            raise _damaged(path, f"the checkpoint of event {number} is missing")
        apply(state, event)
    return seq, start, state


def _events(path: Path, db: sqlite3.Connection, after: int) -> Iterator[tuple[int, ev.Event]]:
    expected = after + 1
    for seq, body, crc in db.execute("SELECT seq, body, crc FROM event WHERE seq > ? ORDER BY seq", (after,)):
        if seq != expected:
            raise _damaged(path, f"event {expected} is missing")
        raw = body.encode()
        if crc32(raw) != crc:
            raise _damaged(path, f"event {seq} fails its checksum")
        try:
            yield seq, ev.decode(raw)
        except msgspec.DecodeError as error:
            raise _damaged(path, f"event {seq}: {error}") from None
        expected += 1


def _damaged(path: Path, why: str) -> StartFailure:
    hint = f"restore {path.parent} from a backup, or keep what is readable: handbook salvage {path.parent}"
    return StartFailure(f"{path} cannot be used: {why}", f"expected a mock node's event log, format {FORMAT}", hint)
