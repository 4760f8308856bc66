"""The contract of a runbook page: front matter by schema, sections in their order, file named by its alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handbook import examples, facts
from handbook.page import Page, read_page

SECTIONS = (
    "Meaning", "Impact", "Confirm", "Diagnose", "Mitigate", "Verify", "If it does not work", "Prevent",
)  # fmt: skip
FIRST_BLOCK_LINE = 40
"""The first command stands on the first screen: not below this line of the source."""


@dataclass(frozen=True)
class Runbook:
    page: Page

    @property
    def meta(self) -> dict[str, Any]:
        return self.page.meta

    @property
    def title(self) -> str:
        return next((text for level, text, _, _ in self.page.headings if level == 1), self.page.file.stem)


def all_runbooks() -> list[Runbook]:
    """Every runbook but the template and the index, by file name."""
    files = sorted((facts.ROOT / "runbooks").glob("*.md"))
    return [Runbook(read_page(f)) for f in files if f.name != "index.md" and not f.name.startswith("_")]


def check(page: Page) -> list[str]:
    """What keeps a page from being a runbook, as `page:line: …` lines."""
    problems = [
        f"{page.path}:1: front matter: {error.json_path}: {error.message}"
        for error in examples.validator("runbook").iter_errors(page.meta)
    ]
    found = [(text, line) for level, text, _, line in page.headings if level == 2]
    names = [text for text, _ in found]
    for section in SECTIONS:
        if section not in names:
            problems.append(f"{page.path}:1: no section “{section}”\n  hint: in order: {', '.join(SECTIONS)}")
    known = [(text, line) for text, line in found if text in SECTIONS]
    order = [SECTIONS.index(text) for text, _ in known]
    for (text, line), before, here in zip(known[1:], order, order[1:], strict=False):
        if here <= before:
            problems.append(f"{page.path}:{line}: section “{text}” is out of order or there twice")
    problems += [f"{page.path}:{line}: unknown section “{text}”" for text, line in found if text not in SECTIONS]
    first = next((block for block in page.blocks if block.lang == "bash"), None)
    if first is None or first.line > FIRST_BLOCK_LINE:
        problems.append(f"{page.path}:{first.line if first else 1}: no command on the first screen")
    for name in ("Confirm", "Mitigate", "Verify"):
        problems += _section_runs(page, name)
    return problems


def _section_runs(page: Page, name: str) -> list[str]:
    """A section that tells the operator to act must hold a block that runs; Confirm and Verify must only read."""
    starts = [(text, line) for level, text, _, line in page.headings if level == 2]
    for index, (text, line) in enumerate(starts):
        if text != name:
            continue
        end = starts[index + 1][1] if index + 1 < len(starts) else len(page.lines) + 1
        inside = [b for b in page.blocks if line < b.line < end and b.lang in ("bash", "python") and not b.is_output]
        if not inside:
            return [f"{page.path}:{line}: section “{name}” holds no command"]
        if name != "Mitigate" and any(b.effect != "read" and "mock" not in b.needs for b in inside):
            return [f"{page.path}:{line}: section “{name}” writes; it may only read"]
    return []
