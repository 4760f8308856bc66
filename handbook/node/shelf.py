"""Objects by contiguous number: the newest and the changed in memory, the others on pages that are read when asked for.

A page holds the objects of one block of numbers and is never changed: what changes in it stands in memory, and a new
page takes its place some time later. So a copy of the page numbers is a copy of everything, and a snapshot costs
what is in memory. Only a node that keeps all has pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import msgspec

BLOCK = 64
"""Numbers of a page: 1 to 64, 65 to 128, and so on."""
KEPT = 1024
"""Objects that stay in memory."""
ANY = -1


class Page(msgspec.Struct, frozen=True, array_like=True):
    """`row` is where it is stored. It holds the last `count` numbers of its block; `marks` are its objects', and 1."""

    row: int
    count: int
    marks: int

    def numbers(self, block: int) -> range:
        last = (block + 1) * BLOCK
        return range(last - self.count + 1, last + 1)


def _nowhere(row: int) -> list[Any]:
    raise LookupError(f"page {row} belongs to no log")


class Shelf(MutableMapping[int, Any]):
    """`read` gives the objects of a page; whoever decodes a shelf sets it. Objects are never changed in place."""

    def __init__(self, hot: dict[int, Any] | None = None, pages: dict[int, Page] | None = None) -> None:
        self.hot: dict[int, Any] = {} if hot is None else hot
        self.pages: dict[int, Page] = {} if pages is None else pages
        self.read: Callable[[int], list[Any]] = _nowhere

    def __getitem__(self, number: int) -> Any:
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def get(self, number: int, default: Any = None) -> Any:
        found = self.hot.get(number)
        if found is None and self.pages:
            found = self._cold(number)
        return default if found is None else found

    def __setitem__(self, number: int, value: Any) -> None:
        self.hot[number] = value

    def pop(self, number: int, default: Any = None) -> Any:
        """Only of what is in memory: with pages, nothing is ever dropped."""
        return self.hot.pop(number, default)

    def __delitem__(self, number: int) -> None:
        del self.hot[number]

    def __contains__(self, number: object) -> bool:
        return number in self.hot or (isinstance(number, int) and self._page(number) is not None)

    def __len__(self) -> int:
        if not self.pages:
            return len(self.hot)
        fresh = sum(self._page(number) is None for number in self.hot)
        return fresh + sum(page.count for page in self.pages.values())

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers(ANY)) if self.pages else iter(list(self.hot))

    def ascending(self, wanted: int = ANY) -> Iterator[Any]:
        """Objects that may bear one of the `wanted` marks, from those that are there now; they may change meanwhile."""
        for number in self._numbers(wanted):
            yield self[number]

    def descending(self, start: int, wanted: int = ANY) -> Iterator[Any]:
        """From number `start` down, without pages on which no object bears one of the `wanted` marks."""
        number, hot = start, self.hot
        while True:
            found = hot.get(number)
            if found is None:
                page = self._page(number)
                if page is None:
                    return
                if not page.marks & wanted:
                    numbers = page.numbers((number - 1) // BLOCK)
                    yield from [hot[one] for one in range(number, numbers[0] - 1, -1) if one in hot]
                    number = numbers[0] - 1
                    continue
                found = self._cold(number)
            yield found
            number -= 1

    def keep(self, numbers: range) -> None:
        """Drops all others, and every page."""
        self.hot, self.pages = {number: self[number] for number in numbers if number in self}, {}

    def put_away(self, write: Callable[[list[Any]], int], marks: Callable[[Any], int], most: int) -> int:
        """Moves what has been in memory longest to at most that many pages; how many took another's place.

        A block whose last number is not given yet stays.
        """
        hot, replaced = self.hot, 0
        while len(hot) >= KEPT + BLOCK and most:
            most -= 1
            number = next(iter(hot))
            block = (number - 1) // BLOCK
            last, before = (block + 1) * BLOCK, self.pages.get(block)
            if before is None and last not in hot:
                hot[number] = hot.pop(number)
                continue
            objects = dict(zip(before.numbers(block), self.read(before.row), strict=True)) if before else {}
            objects |= {one: hot.pop(one) for one in range(last - BLOCK + 1, last + 1) if one in hot}
            found = 1
            for one in objects.values():
                found |= marks(one)
            self.pages[block] = Page(write(list(objects.values())), len(objects), found)
            replaced += before is not None
        return replaced

    def _numbers(self, wanted: int) -> list[int]:
        cold = (page.numbers(block) for block, page in self.pages.items() if page.marks & wanted)
        return sorted(set(self.hot).union(*cold)) if self.pages else sorted(self.hot)

    def _page(self, number: int) -> Page | None:
        """The page that holds the number, be it changed since or not."""
        page = self.pages.get((number - 1) // BLOCK)
        return page if page and -number % BLOCK < page.count else None

    def _cold(self, number: int) -> Any:
        page = self._page(number)
        return None if page is None else self.read(page.row)[page.count - 1 - -number % BLOCK]


def encodable(shelf: object) -> dict[Any, Any]:
    """For msgspec: without pages the objects by number, as ever."""
    if not isinstance(shelf, Shelf):
        raise NotImplementedError(type(shelf).__name__)
    return {"hot": shelf.hot, "pages": shelf.pages} if shelf.pages else shelf.hot


def decoded(kind: type, plain: Any) -> Shelf:
    """For msgspec. Raises ValueError for what is no shelf."""
    if kind is not Shelf or not isinstance(plain, dict):
        raise ValueError(f"expected objects by number, got {type(plain).__name__}")
    pages = msgspec.convert(plain["pages"], dict[int, Page], strict=False) if "pages" in plain else {}
    return Shelf({int(number): value for number, value in plain.get("hot", plain).items()}, pages)
