"""Fences and headings of Markdown text, and what a fence header may say.

The rules are those of pymdownx.superfences, which draws the site: a fence may stand at any indentation (lists,
admonitions, content tabs, block quotes); its content and its end must be indented as its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

FENCE = re.compile(r"^(?P<indent>[> \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*?)[ \t]*$")
BRACES = re.compile(r"^(?P<lang>[\w+#.-]*)[ \t]*\{(?P<attrs>[^\n]*)\}$")
PLAIN = re.compile(r"^\.?(?P<lang>[\w+#.-]+)$")
ATTRIBUTE = re.compile(
    r"""\.(?P<cls>[\w-]+)|(?P<key>[\w-]+)=(?:"(?P<value>[^"]*)"|'(?P<single>[^']*)')|(?P<stray>\S+)"""
)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
HEADING_ID = re.compile(r"\{:?[ \t]*#([\w-]+)[^}]*\}[ \t]*$")

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
    "case": (r"[\w.]+/[\w.-]+", ("bash", "python", "json")),
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


def parse_info(path: str, line: int, info: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
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
