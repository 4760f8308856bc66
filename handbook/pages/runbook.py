"""The contract of a runbook page: front matter by schema, sections in their order, and what each section must hold.

Every message is one line `page:line: what`, with a second line `  hint: …` where there is one to give. Blocks with
`needs="mock"` set a scene for a rehearsal: they are no command of the operator's and may change the mock anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from handbook import facts
from handbook.monitoring.rules import Rule, rank
from handbook.pages import examples
from handbook.pages.page import Block, Page, read_page

SECTIONS = (
    "Meaning",
    "Impact",
    "Confirm",
    "Diagnose",
    "Mitigate",
    "Verify",
    "If it does not work",
    "Prevent",
)
HERE = "here"
"""`drill` of a page whose own scene is the whole rehearsal."""
FIRST_BLOCK_LINE = 40
"""The first command stands on the first screen: not below this line of the source, folded scenes left out."""
PROMISES = ("**Undo**", "**Stop if**")
"""What every step under Mitigate says before an operator takes it."""
TABLE = re.compile(r"^\|[ :|-]*-[ :|-]*\|$")


@dataclass(frozen=True)
class Runbook:
    page: Page

    @property
    def meta(self) -> dict[str, Any]:
        return self.page.meta

    @property
    def slug(self) -> str:
        """The file's name, and the end of every `runbook_url` that leads here."""
        return self.page.file.stem

    @property
    def alerts(self) -> list[str]:
        """Names of the alerts that lead here; front matter gives one, or a list."""
        named = self.meta.get("alert") or []
        return [named] if isinstance(named, str) else list(named)

    @property
    def title(self) -> str:
        return next((text for level, text, _, _ in self.page.headings if level == 1), self.slug)


@dataclass(frozen=True)
class Part:
    """A heading and what stands under it, up to the next heading of its level or a higher one."""

    title: str
    line: int
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def commands(self) -> list[Block]:
        """What the operator runs here."""
        return [b for b in self.blocks if b.lang in ("bash", "python") and not b.is_output and "mock" not in b.needs]


def all_runbooks() -> list[Runbook]:
    """Every runbook but the template and the index, by file name."""
    files = sorted((facts.ROOT / "runbooks").glob("*.md"))
    return [Runbook(read_page(f)) for f in files if f.name != "index.md" and not f.name.startswith("_")]


def check(page: Page) -> list[str]:
    """What keeps a page from being a runbook."""
    problems = [
        f"{_meta_line(page, error.absolute_path)}: front matter: {error.json_path}: {error.message}"
        for error in sorted(examples.validator("runbook").iter_errors(page.meta), key=lambda e: e.json_path)
    ]
    parts = list(_parts(page, 2))
    problems += _sections(page, parts)
    problems += _first_screen(page)
    for part in parts:
        problems += [f"{page.path}:{problem}" for problem in _promises(page, part)]
    return problems


def check_links(
    books: Iterable[Runbook], rules: Iterable[Rule], receivers: Collection[str], drills: Collection[str]
) -> list[str]:
    """Both ways between alerts and runbooks; that owners are told, and drills exist.

    `receivers` are Alertmanager's, `drills` the heading ids of the chaos page.
    """
    books, alerts = list(books), {rule.name: rule for rule in rules if rule.alert}
    problems: list[str] = []
    for book in books:
        meta = book.meta
        problems += _alerts(book, alerts)
        if meta.get("owner") not in receivers:
            problems.append(_linked(book, "owner", "no receiver has this name", receivers))
        if meta.get("drill") == HERE:
            if not any("mock" in block.needs and block.effect != "read" for block in book.page.blocks):
                problems.append(_linked(book, "drill", "the page sets no scene that changes anything"))
        elif meta.get("drill") not in drills:
            problems.append(_linked(book, "drill", "no chaos scenario has this anchor", drills))
    slugs = {book.slug: book for book in books}
    for rule in alerts.values():
        lead = f"{rule.where}: {rule.name} leads to runbooks/{rule.slug}.md"
        if rule.slug and rule.slug not in slugs:
            problems.append(f"{lead}, which does not exist")
        elif rule.anchor and rule.anchor not in {slug for _, _, slug, _ in slugs[rule.slug].page.headings}:
            problems.append(f"{lead}#{rule.anchor}, which that page has not")
    return problems


def _alerts(book: Runbook, alerts: dict[str, Rule]) -> Iterator[str]:
    """That the page names exactly the alerts that lead to it, and the worst severity among them."""
    leading = [rule for rule in alerts.values() if rule.slug == book.slug]
    for name in book.alerts:
        if name not in alerts:
            yield _linked(book, "alert", "no alert rule has this name", alerts, name)
        elif (rule := alerts[name]) not in leading:
            yield _linked(book, "alert", f"its rule ({rule.where}) leads to {rule.slug}", value=name)
    for rule in leading:
        if rule.name not in book.alerts:
            line = _meta_line(book.page, ["alert"])
            yield f"{line}: {rule.name} ({rule.where}) leads here and is not named\n  hint: alert: [A, B]"
    named = [alerts[name] for name in book.alerts if name in alerts]
    worst = min(named, key=lambda rule: rank(rule.labels.get("severity")), default=None)
    if worst and (severity := worst.labels.get("severity")) != book.meta.get("severity"):
        yield _linked(book, "severity", f"its rule ({worst.where}) says {severity}")


def _linked(book: Runbook, key: str, what: str, known: Collection[str] = (), value: str | None = None) -> str:
    message = f"{_meta_line(book.page, [key])}: {key} {value or book.meta.get(key)}: {what}"
    return message + (f"\n  hint: one of {', '.join(sorted(known))}" if known else "")


def _meta_line(page: Page, path: Iterable[str | int]) -> str:
    """`page:line` of a front matter member; line 1 for one that is not there."""
    key = f"{next(iter(path), '')}:"
    return f"{page.path}:{next((n for n, line in enumerate(page.lines, 1) if line.startswith(key)), 1)}"


def _first_screen(page: Page) -> list[str]:
    first = next(iter(Part("", 0, (), page.blocks).commands), None)
    folded = [b for b in page.blocks if first and b.line < first.line and b.indent and "mock" in b.needs]
    if first and first.line - sum(b.end - b.line + 1 for b in folded) <= FIRST_BLOCK_LINE:
        return []
    where = first.where if first else f"{page.path}:1"
    return [f"{where}: no command on the first screen\n  hint: one at line {FIRST_BLOCK_LINE} or above"]


def _sections(page: Page, parts: list[Part]) -> list[str]:
    names = [part.title for part in parts]
    problems = [
        f"{page.path}:1: no section “{section}”\n  hint: in order: {', '.join(SECTIONS)}"
        for section in SECTIONS
        if section not in names
    ]
    known = [part for part in parts if part.title in SECTIONS]
    for before, part in pairwise(known):
        if SECTIONS.index(part.title) <= SECTIONS.index(before.title):
            problems.append(f"{page.path}:{part.line}: section “{part.title}” is out of order or there twice")
    return problems + [f"{page.path}:{p.line}: unknown section “{p.title}”" for p in parts if p.title not in SECTIONS]


def _promises(page: Page, part: Part) -> Iterator[str]:
    """What a section lacks, as `line: …`."""
    if part.title in ("Confirm", "Mitigate", "Verify") and not part.commands:
        yield f"{part.line}: section “{part.title}” holds no command"
        return
    if part.title in ("Confirm", "Verify"):
        for block in part.commands:
            if block.effect != "read":
                yield f"{block.line}: section “{part.title}” writes; it may only read"
        if not any(block.is_output and block.text.strip() for block in part.blocks):
            yield f"{part.line}: section “{part.title}” shows no output"
    elif part.title == "Diagnose" and not any(TABLE.match(line) for line in part.lines):
        yield f"{part.line}: section “Diagnose” holds no table\n  hint: observation, cause, which mitigation"
    elif part.title == "Mitigate":
        steps = [step for step in _parts(page, 3) if part.line < step.line <= part.line + len(part.lines)]
        if not steps:
            yield f"{part.line}: section “Mitigate” has no step\n  hint: a ### heading for each"
        for step in steps:
            for promise in PROMISES:
                if not any(line.startswith(promise) for line in step.lines):
                    yield f"{step.line}: step “{step.title}” has no line that begins with {promise}"


def _parts(page: Page, level: int) -> Iterator[Part]:
    ends = [line for found, _, _, line in page.headings if found <= level] + [len(page.lines) + 1]
    for found, title, _, line in page.headings:
        if found == level:
            end = next(e for e in ends if e > line)
            inside = tuple(block for block in page.blocks if line < block.line < end)
            yield Part(title, line, page.lines[line : end - 1], inside)
