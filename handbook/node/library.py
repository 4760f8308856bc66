"""Pages of shelves, in the log's file: one compressed row each, never changed, never numbered twice."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Any
from zlib import compress, crc32, decompress
from zlib import error as ZlibError  # the module's name for its only exception

import msgspec

from handbook.node.failure import Unreadable
from handbook.node.shelf import Page

TABLE = """
CREATE TABLE IF NOT EXISTS page (
  row INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, crc INTEGER NOT NULL
)
"""
CACHED = 128
"""Pages that are kept in memory as read: 8192 objects."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode


class _Pages(msgspec.Struct):
    pages: dict[int, Page] = {}


class _Shelves(msgspec.Struct):
    """A state, as far as its pages."""

    records: _Pages
    snapshots: _Pages


class Library:
    """The pages of one file. `db` is what they are read through."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.read = lru_cache(CACHED)(self._read)

    def write(self, objects: list[Any]) -> int:
        """The row's number. To be called within a transaction."""
        return self.add(compress(_encode(objects), 1))

    def add(self, body: bytes) -> int:
        row = self.db.execute("INSERT INTO page (body, crc) VALUES (?, ?)", (body, crc32(body))).lastrowid
        assert row is not None
        return row

    def text(self, row: int) -> bytes:
        """The page's objects as one JSON array. Raises Unreadable."""
        try:
            found = self.db.execute("SELECT body, crc FROM page WHERE row = ?", (row,)).fetchone()
            if found is None:
                raise Unreadable(f"page {row} is missing")
            if crc32(found[0]) != found[1]:
                raise Unreadable(f"page {row} fails its checksum")
            return decompress(found[0])
        except (sqlite3.Error, ZlibError) as error:
            raise Unreadable(f"page {row}: {error}") from None

    def _read(self, row: int) -> list[Any]:
        """The objects of a page; not to be changed."""
        return _decode(self.text(row))

    def any(self) -> bool:
        return self.db.execute("SELECT 1 FROM page LIMIT 1").fetchone() is not None

    def check(self, rows: set[int], whole: bool) -> None:
        """Raises Unreadable for a page that is not there, or with `whole` for one that cannot be read."""
        if missing := rows - {row for (row,) in self.db.execute("SELECT row FROM page")}:
            raise Unreadable(f"page {min(missing)} is missing")
        for row in rows if whole else ():
            self.text(row)

    def forget(self, used: set[int]) -> None:
        """Deletes all pages but those. To be called within a transaction."""
        unused = [(row,) for (row,) in self.db.execute("SELECT row FROM page") if row not in used]
        self.db.executemany("DELETE FROM page WHERE row = ?", unused)


_decode_shelves = msgspec.json.Decoder(_Shelves).decode


def rows_of(blob: bytes) -> set[int]:
    """The pages that an encoded state names. Raises msgspec.DecodeError."""
    found = _decode_shelves(blob)
    return {page.row for shelf in (found.records, found.snapshots) for page in shelf.pages.values()}
