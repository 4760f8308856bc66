"""Links from page to page, and within one: the file is there, and so is the anchor. Said before the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from handbook import facts
from handbook.pages.page import Page

PUBLISHED = ("schemas/", "openrpc.json")
"""Put beside the pages when the site is built, from `snippets/`."""
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]*)\)")
CODE = re.compile(r"`[^`]*`")
IDS = re.compile(r"\{[^}]*#([\w-]+)[^}]*\}|\bid=\"([\w-]+)\"")


def check(pages: Iterable[Page], root: Path = facts.ROOT) -> tuple[list[str], int]:
    """Dead links as `page:line: …`, and how many were followed. Links to other hosts are not."""
    known = {page.path: page for page in pages}
    anchors = cache(lambda name: ids(known[name]))
    problems, followed = [], 0
    for page in known.values():
        for line, target in _links(page):
            path, _, anchor = target.partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            followed += 1
            file = (root / page.path).parent / path if path else root / page.path
            if path.startswith(PUBLISHED):
                file = root / "snippets" / path
            name = file.resolve().relative_to(root.resolve()).as_posix() if file.exists() else ""
            if not name:
                problems.append(f"{page.path}:{line}: the link {target} leads to no file")
            elif anchor and name in known and anchor not in (there := anchors(name)):
                near = [one for one in sorted(there) if one.split("-")[0] == anchor.split("-")[0]][:3]
                hint = f" (near: {', '.join(near)})" if near else ""
                problems.append(f"{page.path}:{line}: no anchor #{anchor} in {name}{hint}")
    return problems, followed


def _links(page: Page) -> Iterator[tuple[int, str]]:
    for line in page.text:
        if not line.in_block:
            for target in LINK.findall(CODE.sub("``", line.text)):
                yield line.number, target


def ids(page: Page) -> set[str]:
    """Of headings and of elements that name theirs."""
    found = {slug for _, _, slug, _ in page.headings}
    named = IDS.findall("\n".join(line.text for line in page.text))
    return found | {one or other for one, other in named}
