"""Snapshots of the whole state, kept in the log's file, and states that come from outside.

A revert or a load is one commit: the event that says so, and a checkpoint of the state it leads to. The log stays
append-only, and a replay starts behind the jump. Ids are never given twice, not even after a reset.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import msgspec

from handbook.node import events as ev
from handbook.node.failure import CommitFailed, Unreadable
from handbook.node.log import EventLog
from handbook.node.shelf import Shelf
from handbook.node.state import State, decode_state, encode_state

LIMIT = 100
"""Snapshots that are kept at a time; each holds what the state has in memory, 1 MB or so with 1024 records."""
KIND = "the-block mock node state"
DUMP_FORMAT = 1
LONGEST_HEADER = 1000


class Unusable(Exception):
    """A snapshot or a dump that cannot be taken up. The node is as it was."""


class Header(msgspec.Struct):
    """First line of a dump; the second is the state, whose CRC-32 and size in bytes stand here.

    As many more lines follow as the state has pages: a CRC-32 in hexadecimal, a space, the page's objects.
    """

    kind: str
    format: int
    at: int
    crc: int
    size: int
    pages: int = 0


@contextmanager
def _refusing() -> Iterator[None]:
    """SQLite's refusals as CommitFailed."""
    try:
        yield
    except sqlite3.Error as error:
        raise CommitFailed(str(error)) from error


def take(log: EventLog, state: State, at: int) -> dict[str, Any]:
    """Stores a snapshot of what is committed. Raises CommitFailed, Unusable."""
    log.check()
    if len(shown(log)) >= LIMIT:
        raise Unusable(f'{LIMIT} snapshots are kept already (hint: mock.snapshots {{"drop": ID}} makes room)')
    blob = encode_state(state)
    with _refusing():
        row = log.db.execute(
            "INSERT INTO snapshot (at, seq, state, crc) VALUES (?, ?, ?, ?)", (at, log.seq, blob, crc32(blob))
        )
    return {"at": at, "events": log.seq, "id": row.lastrowid}


def shown(log: EventLog) -> list[dict[str, Any]]:
    """Oldest first. Raises CommitFailed."""
    with _refusing():
        rows = log.db.execute("SELECT id, at, seq FROM snapshot ORDER BY id").fetchall()
    return [{"at": at, "events": seq, "id": id_} for id_, at, seq in rows]


def drop(log: EventLog, id_: int) -> None:
    """Raises CommitFailed, Unusable for an id that is not kept."""
    _blob(log, id_)
    with _refusing():
        log.db.execute("DELETE FROM snapshot WHERE id = ?", (id_,))


def revert(log: EventLog, id_: int) -> State:
    """The state of the snapshot, byte for byte, committed. Any number of times. Raises CommitFailed, Unusable."""
    state = decode_state(_blob(log, id_))
    log.jump(ev.Reverted(id_), state)
    return state


def dump(log: EventLog, state: State, path: Path, at: int) -> Header:
    """Writes the state where no file is yet. Raises Unusable."""
    numbers: dict[int, int] = {}
    blob = encode_state(_renumbered(state, lambda row: numbers.setdefault(row, len(numbers) + 1)))
    header = Header(KIND, DUMP_FORMAT, at, crc32(blob), len(blob), len(numbers))
    scratch = path.parent / f".dump.{os.getpid()}"
    try:
        if path.exists():
            raise Unusable(f"{path} is there already (hint: choose another name, nothing is overwritten)")
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(header) + b"\n" + blob + b"\n")
            for row in numbers:
                page = log.library.text(row)
                file.write(b"%08x %b\n" % (crc32(page), page))
        os.replace(scratch, path)
    except Unreadable as error:
        raise Unusable(f"{log.path}: {error.reason} (expected every page to be readable)") from None
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror} (expected a file that can be written)") from None
    finally:
        with suppress(OSError):
            scratch.unlink()
    return header


def load(log: EventLog, path: Path) -> State:
    """The state of a dump, committed. Raises CommitFailed, Unusable."""
    try:
        if path.exists() and not path.is_file():
            raise Unusable(f"{path}: not a file (expected one that mock.dump wrote)")
        with path.open("rb") as file:
            header, state = _head(path, file)
            rows: dict[int, int] = {}

            def bring() -> None:
                for number in range(1, header.pages + 1):
                    rows[number] = log.library.write(_page(path, number, file.readline()))
                fitted = _renumbered(state, rows.__getitem__)
                state.records.pages, state.snapshots.pages = fitted.records.pages, fitted.snapshots.pages

            log.jump(ev.Loaded(header.crc), state, bring)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror} (expected a file that mock.dump wrote)") from None
    except KeyError as error:
        raise Unusable(f"{path}:2: page {error} is named (expected {header.pages} pages)") from None
    return state


def _head(path: Path, file: BinaryIO) -> tuple[Header, State]:
    try:
        header = msgspec.json.decode(file.readline(LONGEST_HEADER), type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable(f"{path}:1: not a dump (expected a file that mock.dump wrote)") from None
    if header.kind != KIND or header.format != DUMP_FORMAT:
        raise Unusable(f"{path}:1: {header.kind}, format {header.format} (expected {KIND}, format {DUMP_FORMAT})")
    blob = file.read(header.size)
    if len(blob) != header.size or crc32(blob) != header.crc:
        raise Unusable(f"{path}:2: cut off or changed (expected {header.size} bytes with checksum {header.crc})")
    file.readline()
    try:
        return header, decode_state(blob)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unusable(f"{path}:2: {error} (expected the state of a mock node of this version)") from None


def _page(path: Path, number: int, line: bytes) -> list[Any]:
    crc, _, page = line.removesuffix(b"\n").partition(b" ")
    if crc != b"%08x" % crc32(page):
        raise Unusable(f"{path}:{number + 2}: cut off or changed (expected a page with its checksum)")
    try:
        return msgspec.json.decode(page, type=list[Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable(f"{path}:{number + 2}: no page (expected a list of objects)") from None


def _renumbered(state: State, new: Callable[[int], int]) -> State:
    """The state with other numbers for its pages; those of records come first."""

    def renumber(shelf: Shelf) -> Shelf:
        pages = {block: msgspec.structs.replace(page, row=new(page.row)) for block, page in shelf.pages.items()}
        return Shelf(shelf.hot, pages)

    return msgspec.structs.replace(state, records=renumber(state.records), snapshots=renumber(state.snapshots))


def _blob(log: EventLog, id_: int) -> bytes:
    with _refusing():
        row = log.db.execute("SELECT state, crc FROM snapshot WHERE id = ?", (id_,)).fetchone()
    if row is None:
        known = ", ".join(str(one["id"]) for one in shown(log)) or "none"
        raise Unusable(f"snapshot {id_} is not kept (kept: {known})")
    blob: bytes = row[0]
    if crc32(blob) != row[1]:
        raise Unusable(f"snapshot {id_} fails its checksum")
    return blob
