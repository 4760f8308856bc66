"""Names that must not appear on a page: `snippets/retired.yml`.

A page is searched line by line, so that a message's line number is the one an editor shows. What a block includes is
searched too, and so are the blocks that a macro draws, both reported at the line that asks for them. Tables that macros
draw are not: they come from fact files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from handbook import document, facts
from handbook.pages.page import INCLUDE, Page
from handbook.problem import Problem

PLACES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "runbooks/*.md", "monitoring/**/*.md")


@dataclass(frozen=True)
class Retired:
    name: str
    pattern: re.Pattern[str]
    blocks_only: bool
    """Whether prose may say it."""
    meant: str
    why: str
    allowed: tuple[str, ...]
    """Pages that may name it, relative to the checkout."""


@dataclass(frozen=True)
class Line:
    number: int
    text: str
    in_block: bool
    source: str = ""
    """Where an included line comes from, or what drew it; `number` is then where the page asks for it."""


RETIRED = facts.SNIPPETS / "retired.yml"


@cache
def retired() -> tuple[Retired, ...]:
    return tuple(
        Retired(
            name=entry["name"],
            pattern=re.compile(entry["pattern"]),
            blocks_only=entry.get("within") == "blocks",
            meant=entry["meant"],
            why=entry["why"],
            allowed=tuple(entry["allowed"]),
        )
        for entry in document.read_entries(RETIRED, "name", "pattern", "meant", "why", "allowed").data
    )


def check(page: Page) -> list[str]:
    """Each retired name on the page as `page:line: 'tb-cli' is retired: …`; empty if there is none."""
    names = [name for name in retired() if page.path not in name.allowed]
    found: list[str] = []
    for line in lines(page):
        for name in names:
            if name.blocks_only and not line.in_block:
                continue
            for match in name.pattern.finditer(line.text):
                included = f" ({line.source})" if line.source else ""
                message = f"{match[0]!r} is retired: {name.why}{included}"
                found.append(str(Problem(f"{page.path}:{line.number}", message, name.meant)))
    return found


def pages(root: Path = facts.ROOT) -> list[Path]:
    """Every page that is published or handed out, in order of path."""
    return sorted(file for place in PLACES for file in root.glob(place))


def lines(page: Page) -> Iterator[Line]:
    """Each line of the page as a reader gets it, and after an include the lines it brings."""
    for line in page.text:
        if line.in_block or not line.macro:
            yield Line(line.number, line.text, line.in_block, f"drawn by {line.macro}" if line.macro else "")
        if line.in_block and (include := INCLUDE.match(line.text)):
            path = f"snippets/{include['path']}"
            for offset, one in enumerate((facts.ROOT / path).read_text().splitlines(), start=1):
                yield Line(line.number, one, True, f"included from {path}:{offset}")
