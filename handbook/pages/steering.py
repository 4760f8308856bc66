"""docs/MOCK_CONTROL.md against the control listener: each call has its tables, and an example with what it printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from handbook import document, facts, refusals
from handbook.pages.page import Page, read_page
from handbook.problem import Problem

PAGE = facts.ROOT / "docs" / "MOCK_CONTROL.md"


def check(file: Path = PAGE) -> tuple[list[Problem], int]:
    """What is missing, and how many calls there are. Raises Unreadable."""
    from handbook.node.control import METHODS

    refused, where = refusals.load(), document.shown(refusals.FILE)
    found = missing(read_page(file), METHODS)
    found += [Problem(where, f"no refused call of {name}") for name in METHODS if name not in refused]
    found += [Problem(where, f"{name} is no call") for name in refused if name not in METHODS]
    return found, len(METHODS)


def missing(page: Page, calls: Iterable[str]) -> list[Problem]:
    """A section per call, under `### NAME { #NAME }` with hyphens for dots."""
    lines = {slug: line for _, _, slug, line in page.headings}
    drawn = {line.macro for line in page.text}
    found = []
    for name in calls:
        slug = name.replace(".", "-")
        if slug not in lines:
            hint = f"### {name} {{ #{slug} }}, its tables and an example"
            found.append(Problem(page.path, f"no section about {name}", hint))
            continue
        where = f"{page.path}:{lines[slug]}"
        if f'control_call("{name}")' not in drawn:
            found.append(Problem(where, f"the tables of {name} are not drawn", f'{{{{ control_call("{name}") }}}}'))
        blocks = [block for block in page.blocks if block.id.rpartition("/")[0] == slug]
        asks = re.compile(rf"\bmock {re.escape(name.removeprefix('mock.'))}(?![\w.])")
        shown = [
            block
            for block, after in pairwise(blocks)
            if block.lang == "bash" and asks.search(block.text) and after.is_output and after.text
        ]
        if not shown:
            hint = "a bash block that calls it, and the output block of what it printed"
            found.append(Problem(where, f"no example of {name}", hint))
    return found
