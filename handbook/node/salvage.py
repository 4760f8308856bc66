"""What can still be read of a damaged event log, in a data directory of its own. The damaged one is not changed.

Events are numbered and carry a checksum, so what is found is known to be whole. The state is as far as the events go
without a gap, from the start or from a checkpoint, whichever goes further; events behind a gap are kept beside it.
A checkpoint or a snapshot that names a page which cannot be read is lost with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from handbook.node import events as ev
from handbook.node.apply import apply
from handbook.node.failure import StartFailure
from handbook.node.library import rows_of
from handbook.node.lock import lock
from handbook.node.log import EventLog
from handbook.node.replay import create, load
from handbook.node.state import State, decode_state, encode_state

NAME = "node.sqlite"
APART = "events-behind-the-gap.jsonl"
GIVE_UP = 20_000
"""Event numbers in a row that are not found, after which no more are looked for."""


class Salvaged(msgspec.Struct):
    """`events` were read, the state is that of event `reached`; `apart` are readable behind a gap, `lost` are not.

    `damage` is why a node would not start on the original, empty if it would.
    """

    events: int
    reached: int
    apart: int
    lost: int
    snapshots: int
    snapshots_lost: int
    damage: str


def salvage(source: Path, target: Path) -> Salvaged:
    """Writes `target`, which must not exist. Raises StartFailure when nothing can be read, or nothing written."""
    if not (source / NAME).is_file():
        raise StartFailure(f"{source / NAME}: no such file", "expected the data directory of a mock node")
    if target.exists():
        raise StartFailure(f"{target} exists", "expected a name that is free", f"choose another --to than {target}")
    held = lock(source)
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        found = _salvage(source, scratch)
        scratch.chmod(0o755)
        os.rename(scratch, target)
    except OSError as error:
        raise StartFailure(f"{target}: {error.strerror}", "expected a directory that can be written") from None
    finally:
        held.close()
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    return found


def _salvage(source: Path, scratch: Path) -> Salvaged:
    damaged, new = scratch / "damaged.sqlite", scratch / NAME
    _copy(source, damaged)
    why = _damage(damaged)
    create(new)
    log = EventLog(new)
    with contextlib.closing(_readable(damaged, source)) as old:
        newest = _newest(old)
        for seq, body, crc in _rows(old, "event", "seq, body, crc", newest):
            if _whole(body, crc):
                log.db.execute("INSERT INTO event VALUES (?, ?, ?)", (seq, body.decode(), crc))
        pages = set()
        for row, body, crc in _rows(old, "page", "row, body, crc", None):
            if isinstance(body, bytes) and crc32(body) == crc:
                log.db.execute("INSERT INTO page VALUES (?, ?, ?)", (row, body, crc))
                pages.add(row)
        snapshots = lost_snapshots = 0
        for row in _rows(old, "snapshot", "id, at, seq, state, crc", None):
            if _state(row[3], row[4], pages):
                log.db.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)", row)
                snapshots += 1
            else:
                lost_snapshots += 1
        checkpoints = [(0, encode_state(State()))]
        for seq, blob, crc in _rows(old, "checkpoint", "seq, state, crc", None):
            if _state(blob, crc, pages):
                checkpoints.append((seq, blob))
    found = _rebuild(log, checkpoints, scratch / APART)
    if found is None:
        raise StartFailure(f"{source / NAME}: no event can be read", "expected at least one")
    log.db.close()
    for path in (damaged, damaged.with_name(f"{damaged.name}-wal"), damaged.with_name(f"{damaged.name}-shm")):
        path.unlink(missing_ok=True)
    for other in source.iterdir():
        if not other.name.startswith((NAME, "node.lock")):
            (shutil.copytree if other.is_dir() else shutil.copy2)(other, scratch / other.name)
    found.snapshots, found.snapshots_lost, found.damage = snapshots, lost_snapshots, why
    return found


def _rebuild(log: EventLog, checkpoints: list[tuple[int, bytes]], apart: Path) -> Salvaged | None:
    """Takes the start that leads furthest, stores a checkpoint of its state, moves what lies behind a gap.

    None when there is nothing. Without event 1 the new log is empty, and all that was found is beside it.
    """
    db = log.db
    seq, state = max((_replay(log, *start) for start in checkpoints), key=lambda found: found[0])
    behind = db.execute("SELECT body FROM event WHERE seq > ? ORDER BY seq", (seq,)).fetchall()
    if not seq and not behind:
        return None
    if seq:
        log.store_checkpoint(seq, state)
    if behind:
        apart.write_text("".join(f"{body}\n" for (body,) in behind))
    last = db.execute("SELECT max(seq) FROM event").fetchone()[0] or seq
    db.execute("DELETE FROM event WHERE seq > ?", (seq,))
    kept = db.execute("SELECT count(*) FROM event").fetchone()[0]
    return Salvaged(kept, seq, len(behind), max(last, seq) - seq - len(behind), 0, 0, "")


def _replay(log: EventLog, seq: int, blob: bytes) -> tuple[int, State]:
    """How far the events go on from there. A jump goes on where its snapshot is whole."""
    state = log.adopt(decode_state(blob))
    for number, body in log.db.execute("SELECT seq, body FROM event WHERE seq > ? ORDER BY seq", (seq,)):
        if number != seq + 1:
            break
        try:
            event = ev.decode(body)
            if isinstance(event, ev.Loaded):
                break
            if isinstance(event, ev.Reverted):
                row = log.db.execute("SELECT state FROM snapshot WHERE id = ?", (event.snapshot,)).fetchone()
                if row is None:
                    break
                state = log.adopt(decode_state(row[0]))
            else:
                apply(state, event)
        except (msgspec.DecodeError, KeyError, ValueError):
            break
        seq = number
    return seq, state


def _copy(source: Path, damaged: Path) -> None:
    shutil.copyfile(source / NAME, damaged)
    wal = source / f"{NAME}-wal"
    if wal.exists():
        shutil.copyfile(wal, damaged.with_name(f"{damaged.name}-wal"))


def _damage(path: Path) -> str:
    try:
        load(path)
    except StartFailure as failure:
        return failure.what.partition(" cannot be used: ")[2] or failure.what
    return ""


def _readable(damaged: Path, source: Path) -> sqlite3.Connection:
    """The copy, opened; with the first page of a new log where its own is damaged, which is the same but for counts."""
    for _ in range(2):
        db = sqlite3.connect(damaged, isolation_level=None)
        db.text_factory = bytes
        try:
            db.execute("PRAGMA cell_size_check = OFF")
            if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'event'").fetchone()[0]:
                return db
            why = "no events in it"
        except sqlite3.Error as error:
            why = str(error)
        db.close()
        _mend_first_page(damaged)
    raise StartFailure(f"{source / NAME}: {why}", "expected at least some pages of an event log")


def _mend_first_page(damaged: Path) -> None:
    with tempfile.TemporaryDirectory(dir=damaged.parent) as directory:
        fresh = Path(directory) / NAME
        create(fresh)
        EventLog(fresh).db.close()
        page = bytearray(fresh.read_bytes()[:4096])
    pages = damaged.stat().st_size // len(page)
    if pages:
        page[28:32] = pages.to_bytes(4, "big")
        page[32:40] = bytes(8)  # no free pages
        with damaged.open("r+b") as file:
            file.write(page)


def _newest(db: sqlite3.Connection) -> int | None:
    with contextlib.suppress(sqlite3.Error):
        return db.execute("SELECT max(seq) FROM event").fetchone()[0]  # type: ignore[no-any-return]
    return None


def _rows(db: sqlite3.Connection, table: str, columns: str, newest: int | None) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Every row that can be read, once: upwards to the damage, downwards to it, and one by one in between."""
    key = columns.partition(",")[0]
    low = 0
    try:
        for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY {key}"):
            low = row[0]
            yield row
        return
    except sqlite3.Error:
        high = None
    with contextlib.suppress(sqlite3.Error):
        for row in db.execute(f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} DESC", (low,)):
            high = row[0]
            yield row
    top = high or (newest and newest + 1)
    missed = 0
    for at in range(top - 1, low, -1) if top else itertools.count(low + 1):  # a pruned log has no low numbers
        if missed > GIVE_UP:
            return
        row = None
        with contextlib.suppress(sqlite3.Error):
            row = db.execute(f"SELECT {columns} FROM {table} WHERE {key} = ?", (at,)).fetchone()
        missed = 0 if row else missed + 1
        if row:
            yield row


def _state(blob: object, crc: object, pages: set[int]) -> bool:
    """Whether a checkpoint or snapshot is whole, and so are all its pages."""
    return isinstance(blob, bytes) and crc32(blob) == crc and rows_of(blob) <= pages


def _whole(body: object, crc: object) -> bool:
    if not isinstance(body, bytes) or crc32(body) != crc:
        return False
    try:
        ev.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
