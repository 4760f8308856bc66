"""A Markdown page: front matter, includes, macros, headings and blocks.

`Page.text` is the page as a reader gets it: what the site draws, what runs and what is searched are read from it alone.
A macro is a line `{{ name("argument") }}` outside fences; the lines it draws stand, for messages, where the macro
stands. What this module and the built site disagree on is caught by `ledger`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from handbook import facts, macros
from handbook.pages.fence import EFFECTS as EFFECTS
from handbook.pages.fence import HEADING_ID, parse_info, walk
from handbook.pages.fence import PageError as PageError

INCLUDE = re.compile(r'^(?P<indent>[ \t]*)--8<--[ \t]+"(?P<path>[^"]+)"[ \t]*$')


@dataclass(frozen=True)
class Line:
    """One line of a page as a reader gets it."""

    number: int
    """In the file, from 1; of the macro, if one drew it."""
    text: str
    in_block: bool
    macro: str = ""
    """The macro that drew it: `method_head("gov_list")`."""


@dataclass(frozen=True)
class Block:
    """A fence that a reader sees."""

    page: str
    """Path of the page, relative to the checkout."""
    id: str
    """Heading slug and ordinal under that heading: `read-the-balance/1`. Stable while lines move."""
    line: int
    """Line of the opening fence, from 1."""
    end: int
    """Line of the closing fence."""
    indent: str
    lang: str
    classes: tuple[str, ...]
    attrs: dict[str, str]
    text: str
    """Content without indentation, includes put in, ending in a newline unless empty."""
    body_line: int
    """Line of the first content line."""
    macro: str = ""
    """The macro that drew it; `line`, `end` and `body_line` are then where that stands."""

    @property
    def is_output(self) -> bool:
        return "output" in self.classes

    @property
    def effect(self) -> str:
        return self.attrs.get("effect", "read")

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.attrs.get("needs", "").split())

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def hash(self) -> str:
        """Of what decides the verdict: language, classes, attributes, content. Not of the place."""
        parts = [self.lang, *self.classes, *(f"{k}={v}" for k, v in sorted(self.attrs.items())), self.text]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Page:
    path: str
    """Relative to the checkout where it lies inside it."""
    file: Path
    meta: dict[str, Any]
    blocks: tuple[Block, ...]
    headings: tuple[tuple[int, str, str, int], ...]
    """(level, text, slug, line) of each heading outside fences."""
    lines: tuple[str, ...] = field(repr=False)
    """As they stand in the file."""
    text: tuple[Line, ...] = field(repr=False)
    """As a reader gets them: front matter off, macros drawn; includes are put in block by block."""

    def block(self, block_id: str) -> Block:
        return next(b for b in self.blocks if b.id == block_id)


def slugify(text: str) -> str:
    """The id that Python-Markdown's toc extension gives a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"[^\w\s-]", "", text).strip().lower()
    return re.sub(r"[-\s]+", "-", text)


def read_page(file: Path) -> Page:
    """Raises PageError naming page and line for anything that would not be published as it is meant."""
    path = str(file.relative_to(facts.ROOT)) if file.is_relative_to(facts.ROOT) else file.name
    try:
        source = file.read_text(encoding="utf-8-sig")  # as MkDocs reads it
    except UnicodeDecodeError as error:
        raise PageError(path, 1, f"not UTF-8: {error.reason} at byte {error.start}") from None
    lines = source.removesuffix("\n").split("\n")  # as Markdown counts them: U+2028 and form feeds are text
    meta, first = _front_matter(path, lines)
    text = _drawn(path, lines, first)
    headings: list[tuple[int, str, str, int]] = []
    blocks: list[Block] = []
    slug, seen, ordinals = "top", Counter[str](), Counter[str]()
    for kind, position, found in _walk(path, text):
        line = text[position - 1]
        if kind == "heading":
            level, said, explicit = found
            slug = explicit or slugify(said)
            seen[slug] += 1
            if explicit and seen[slug] > 1:
                raise PageError(path, line.number, f"a second heading with the id {slug!r}")
            if seen[slug] > 1:
                slug = f"{slug}_{seen[slug] - 1}"
            headings.append((level, HEADING_ID.sub("", said).strip(), slug, line.number))
        else:
            indent, info, body, end = found
            lang, classes, attrs = parse_info(path, line.number, info)
            ordinals[slug] += 1
            blocks.append(
                Block(
                    page=path,
                    id=f"{slug}/{ordinals[slug]}",
                    line=line.number,
                    end=text[end - 1].number,
                    indent=indent,
                    lang=lang,
                    classes=classes,
                    attrs=attrs,
                    text=_include(path, line.number, body),
                    body_line=text[position].number,
                    macro=line.macro,
                )
            )
    return Page(path, file, meta, tuple(blocks), tuple(headings), tuple(lines), text)


def _drawn(path: str, lines: list[str], first: int) -> tuple[Line, ...]:
    """The lines from `first` on, with those of each macro in its place."""
    fenced = _fenced(walk(path, lines, first))
    out: list[Line] = []
    for number, text in enumerate(lines[first:], start=first + 1):
        call = None if number in fenced else macros.CALL.match(text)
        if call is None:
            out.append(Line(number, text, number in fenced))
            continue
        try:
            drawn = macros.draw(call[1])
        except macros.MacroError as error:
            raise PageError(path, number, error.message, error.hint) from None
        out.extend(Line(number, one, False, call[1]) for one in drawn.split("\n"))
    if not any(line.macro for line in out):
        return tuple(out)
    fenced = _fenced(_walk(path, out))
    return tuple(replace(line, in_block=at in fenced) for at, line in enumerate(out, start=1))


def _fenced(found: Iterator[tuple[str, int, Any]]) -> set[int]:
    """Positions of the lines between fences."""
    fences = [(position, what[3]) for kind, position, what in found if kind == "fence"]
    return {inside for position, end in fences for inside in range(position + 1, end)}


def _walk(path: str, text: Sequence[Line]) -> Iterator[tuple[str, int, Any]]:
    try:
        yield from walk(path, [line.text for line in text], 0)
    except PageError as error:
        line = text[error.line - 1]
        drawn = f" (drawn by {line.macro})" if line.macro else ""
        raise PageError(path, line.number, f"{error.message}{drawn}") from None


def _front_matter(path: str, lines: list[str]) -> tuple[dict[str, Any], int]:
    if not lines or lines[0] != "---":
        return {}, 0
    try:
        end = lines.index("---", 1)
    except ValueError:
        raise PageError(path, 1, "front matter is opened with --- and never closed") from None
    try:
        meta = yaml.safe_load("\n".join(lines[1:end])) or {}
    except yaml.YAMLError as error:
        mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        raise PageError(path, (mark.line + 2) if mark else 1, f"front matter is not YAML: {reason}") from None
    if not isinstance(meta, dict):
        raise PageError(path, 1, "front matter must be a mapping")
    return meta, end + 1


def _include(path: str, line: int, body: list[str]) -> str:
    """Puts `--8<-- "file"` lines in, from `snippets/`; the site shows what this returns."""
    out: list[str] = []
    for offset, text in enumerate(body, start=1):
        if not (found := INCLUDE.match(text)):
            out.append(text)
            continue
        source = facts.SNIPPETS / found["path"]
        if not source.is_file() or not source.resolve().is_relative_to(facts.SNIPPETS):
            raise PageError(path, line + offset, f"includes {found['path']}, which is not in snippets/")
        try:
            included = source.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise PageError(path, line + offset, f"includes {found['path']}, which is not UTF-8") from None
        if not included.strip():
            raise PageError(path, line + offset, f"includes {found['path']}, which is empty")
        out.extend(found["indent"] + one for one in included.removesuffix("\n").split("\n"))
    while out and not out[-1].strip():
        out.pop()
    while out and not out[0].strip():
        out.pop(0)
    return "\n".join(out) + "\n" if out else ""
