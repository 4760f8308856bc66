"""A Markdown page: front matter, includes, headings and blocks.

The fence rules are those of pymdownx.superfences, which draws the site: a fence may stand at any indentation
(lists, admonitions, content tabs, block quotes); its content and its end must be indented as its start. What this
module and the built site disagree on is caught by `ledger`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from handbook import facts

FENCE = re.compile(r"^(?P<indent>[> \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*?)[ \t]*$")
BRACES = re.compile(r"^(?P<lang>[\w+#.-]*)[ \t]*\{(?P<attrs>[^\n]*)\}$")
PLAIN = re.compile(r"^\.?(?P<lang>[\w+#.-]+)$")
ATTRIBUTE = re.compile(
    r"""\.(?P<cls>[\w-]+)|(?P<key>[\w-]+)=(?:"(?P<value>[^"]*)"|'(?P<single>[^']*)')|(?P<stray>\S+)"""
)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
HEADING_ID = re.compile(r"\{:?[ \t]*#([\w-]+)[^}]*\}[ \t]*$")
INCLUDE = re.compile(r'^(?P<indent>[ \t]*)--8<--[ \t]+"(?P<path>[^"]+)"[ \t]*$')

EFFECTS = ("read", "write", "destructive")
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "effect": ("|".join(EFFECTS), ("bash", "python")),
    "needs": (r".+", ()),
    "exit": (r"[1-9]\d?|1\d\d|2[0-4]\d|25[0-5]", ("bash",)),
    "timeout": (r"[1-9]\d{0,3}", ("bash", "python")),
    "schema": (r"[\w-]+", ("json", "yaml", "toml")),
    "tool": (r"[\w-]+", ("yaml",)),
    "expect": ("data", ("promql",)),
    "compare": ("shape", ("json",)),
    "excused": (r"(?s).*\S.*", ()),
    "title": (r".+", ()),
    "hl_lines": (r"\d[\d -]*", ()),
}
"""What each attribute's value may be, and the languages it means something to; none named: to all."""


class PageError(Exception):
    """A page that cannot be read. `line` counts from 1."""

    def __init__(self, path: str, line: int, message: str, hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {message}" + (f"\n  hint: {hint}" if hint else ""))
        self.path, self.line, self.message, self.hint = path, line, message, hint


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
    headings: list[tuple[int, str, str, int]] = []
    blocks: list[Block] = []
    slug, seen, ordinals = "top", Counter[str](), Counter[str]()
    for kind, number, found in walk(path, lines, first):
        if kind == "heading":
            level, text, explicit = found
            slug = explicit or slugify(text)
            seen[slug] += 1
            if explicit and seen[slug] > 1:
                raise PageError(path, number, f"a second heading with the id {slug!r}")
            if seen[slug] > 1:
                slug = f"{slug}_{seen[slug] - 1}"
            headings.append((level, HEADING_ID.sub("", text).strip(), slug, number))
        else:
            indent, info, body, end = found
            lang, classes, attrs = _parse_info(path, number, info)
            ordinals[slug] += 1
            blocks.append(
                Block(
                    page=path,
                    id=f"{slug}/{ordinals[slug]}",
                    line=number,
                    end=end,
                    indent=indent,
                    lang=lang,
                    classes=classes,
                    attrs=attrs,
                    text=_include(path, number, body),
                    body_line=number + 1,
                )
            )
    return Page(path, file, meta, tuple(blocks), tuple(headings), tuple(lines))


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


def walk(path: str, lines: list[str], first: int) -> Iterator[tuple[str, int, Any]]:
    """Headings, as ("heading", line, (level, text, id)), and fences, as ("fence", line, (indent, info, body, end))."""
    index = first
    comment = False
    while index < len(lines):
        line = lines[index].expandtabs(4)
        number = index + 1
        opened = FENCE.match(line)
        if opened and not comment:
            indent, fence = opened["indent"], opened["fence"]
            body, index = [], index + 1
            while True:
                if index >= len(lines):
                    raise PageError(path, number, f"this fence ({fence}) is never closed")
                inner = lines[index].expandtabs(4) if indent else lines[index]
                if inner.startswith(indent) and inner[len(indent) :].rstrip(" \t") == fence:
                    break
                if inner.strip() and not inner.startswith(indent):
                    raise PageError(
                        path, index + 1, "indented less than the fence around it", f"the fence opens at {path}:{number}"
                    )
                body.append(inner[len(indent) :])
                index += 1
            yield "fence", number, (indent, opened["info"], body, index + 1)
        elif not comment and (heading := HEADING.match(line)):
            explicit = HEADING_ID.search(heading[2])
            yield "heading", number, (len(heading[1]), heading[2], explicit[1] if explicit else None)
        if "<!--" in line:
            comment = "-->" not in line.split("<!--", 1)[1]
        elif comment and "-->" in line:
            comment = False
        index += 1


def _parse_info(path: str, line: int, info: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Language, classes and attributes of a fence. Only `lang` and brace forms render in Material."""
    if not info:
        raise PageError(path, line, "a fence without a language", "say what it is: bash, json, text …")
    if plain := PLAIN.match(info):
        return plain["lang"], (), {}
    braces = BRACES.match(info)
    if not braces:
        raise PageError(
            path, line, f"fence header {info!r} breaks the page", 'attributes stand in braces: {.bash effect="write"}'
        )
    classes, attrs = [], {}
    for found in ATTRIBUTE.finditer(braces["attrs"]):
        if found["stray"]:
            raise PageError(path, line, f"{found['stray']!r} in a fence header", 'write .class or key="value"')
        if found["cls"]:
            classes.append(found["cls"])
        else:
            key, value = found["key"], found["value"] if found["value"] is not None else found["single"]
            if key not in ATTRIBUTES:
                raise PageError(path, line, f"unknown attribute {key!r}", f"known: {', '.join(sorted(ATTRIBUTES))}")
            attrs[key] = value
    lang = braces["lang"].lstrip(".") or (classes.pop(0) if classes else "")
    if not lang:
        raise PageError(path, line, "a fence without a language", "the first class is the language: {.bash …}")
    for key, value in attrs.items():
        _check_attribute(path, line, lang, key, value)
    if "schema" in attrs and "tool" in attrs:
        raise PageError(path, line, "schema and tool together", "one of them proves the block")
    return lang, tuple(classes), attrs


def _check_attribute(path: str, line: int, lang: str, key: str, value: str) -> None:
    pattern, languages = ATTRIBUTES[key]
    if key == "excused" and not value.strip():
        raise PageError(path, line, "excused without a reason")
    if not re.fullmatch(pattern, value):
        fits = ", ".join(pattern.split("|")) if re.fullmatch(r"[a-z|]+", pattern) else pattern
        raise PageError(path, line, f"{key} {value!r}", f"one of {fits}")
    if languages and lang not in languages:
        raise PageError(path, line, f"{key} on a {lang} block", f"only {', '.join(languages)} blocks take it")


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
