"""Snapshots of the whole state, kept in the log's file, and states that come from outside.

A revert or a load is one commit: the event that says so, and a checkpoint of the state it leads to. The log stays
append-only, and a replay starts behind the jump. Ids are never given twice, not even after a reset.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from handbook.node import events as ev
from handbook.node.failure import CommitFailed
from handbook.node.log import EventLog, decode_state, encode_state
from handbook.node.state import State

LIMIT = 100
"""Snapshots that are kept at a time; each holds the whole state, 1 MB or so with every record the node keeps."""
KIND = "the-block mock node state"
DUMP_FORMAT = 1


class Unusable(Exception):
    """A snapshot or a dump that cannot be taken up. The node is as it was."""


class Header(msgspec.Struct):
    """First line of a dump; the second is the state, whose CRC-32 and size in bytes stand here."""

    kind: str
    format: int
    at: int
    crc: int
    size: int


def take(log: EventLog, state: State, at: int) -> dict[str, Any]:
    """Stores a snapshot of what is committed. Raises CommitFailed, Unusable."""
    kept = len(shown(log))
    if kept >= LIMIT:
        raise Unusable(f'{LIMIT} snapshots are kept already (hint: mock.snapshots {{"drop": ID}} makes room)')
    blob = encode_state(state)
    try:
        row = log.db.execute(
            "INSERT INTO snapshot (at, seq, state, crc) VALUES (?, ?, ?, ?)", (at, log.seq, blob, crc32(blob))
        )
    except sqlite3.Error as error:
        raise CommitFailed(str(error)) from error
    return {"at": at, "events": log.seq, "id": row.lastrowid}


def shown(log: EventLog) -> list[dict[str, Any]]:
    """Oldest first."""
    rows = log.db.execute("SELECT id, at, seq FROM snapshot ORDER BY id")
    return [{"at": at, "events": seq, "id": id_} for id_, at, seq in rows]


def drop(log: EventLog, id_: int) -> None:
    """Raises Unusable for an id that is not kept."""
    _blob(log, id_)
    log.db.execute("DELETE FROM snapshot WHERE id = ?", (id_,))


def revert(log: EventLog, id_: int) -> State:
    """The state of the snapshot, byte for byte, committed. Any number of times. Raises CommitFailed, Unusable."""
    state = decode_state(_blob(log, id_))
    log.jump(ev.Reverted(id_), state)
    return state


def dump(state: State, path: Path, at: int) -> Header:
    """Writes the state where no file is yet. Raises Unusable."""
    blob = encode_state(state)
    header = Header(KIND, DUMP_FORMAT, at, crc32(blob), len(blob))
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        if path.exists():
            raise Unusable(f"{path} is there already (hint: choose another name, nothing is overwritten)")
        scratch.write_bytes(msgspec.json.encode(header) + b"\n" + blob + b"\n")
        os.replace(scratch, path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise Unusable(f"{path}: {error.strerror} (expected a file that can be written)") from None
    return header


def load(log: EventLog, path: Path) -> State:
    """The state of a dump, committed. Raises CommitFailed, Unusable."""
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
        header = msgspec.json.decode(first, type=Header)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror} (expected a file that mock.dump wrote)") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unusable(f"{path}:1: not a dump (expected a file that mock.dump wrote)") from None
    if header.kind != KIND or header.format != DUMP_FORMAT:
        raise Unusable(f"{path}:1: {header.kind}, format {header.format} (expected {KIND}, format {DUMP_FORMAT})")
    blob = rest[: header.size]
    if len(blob) != header.size or crc32(blob) != header.crc:
        raise Unusable(f"{path}:2: cut off or changed (expected {header.size} bytes with checksum {header.crc})")
    try:
        state = decode_state(blob)
    except msgspec.DecodeError as error:
        raise Unusable(f"{path}:2: {error} (expected the state of a mock node of this version)") from None
    log.jump(ev.Loaded(header.crc), state)
    return state


def _blob(log: EventLog, id_: int) -> bytes:
    row = log.db.execute("SELECT state, crc FROM snapshot WHERE id = ?", (id_,)).fetchone()
    if row is None:
        known = ", ".join(str(one["id"]) for one in shown(log)) or "none"
        raise Unusable(f"snapshot {id_} is not kept (kept: {known})")
    blob: bytes = row[0]
    if crc32(blob) != row[1]:
        raise Unusable(f"snapshot {id_} fails its checksum")
    return blob
