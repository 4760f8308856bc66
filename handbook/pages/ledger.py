"""The built site against blocks and verdicts: no reader sees a code block that nothing speaks for.

Two directions: every `<pre>` of an article is a block of its page with the same text, and every block of the page is
there. `website` writes `data-block="ID"` on what superfences draws, so the pairing is by id, not by order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from handbook.pages.page import Page

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Shown:
    """A `<pre>` of the built page."""

    block_id: str
    """Empty when no block stands behind it."""
    text: str = ""
    line: int = 0
    """Line in the HTML."""


@dataclass
class _Finder(HTMLParser):
    shown: list[Shown] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._stack: list[tuple[str, str | None]] = []
        self._pre: Shown | None = None
        self._article = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        self._stack.append((tag, dict(attrs).get("data-block")))
        self._article += tag == "article"
        if tag == "pre" and self._article and self._pre is None:
            ids = [block for _, block in self._stack if block]
            self._pre = Shown(ids[-1] if ids else "", line=self.getpos()[0])

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or not any(open_tag == tag for open_tag, _ in self._stack):
            return
        while self._stack:
            open_tag, _ = self._stack.pop()
            self._article -= open_tag == "article"
            if open_tag == "pre" and self._pre is not None:
                self.shown.append(self._pre)
                self._pre = None
            if open_tag == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._pre is not None:
            self._pre.text += data


def shown_blocks(html: str) -> list[Shown]:
    """Every `<pre>` inside an `<article>`."""
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return finder.shown


def check_page(page: Page, html: str) -> list[str]:
    """What the built page and its source disagree on, as `page:line: …` lines."""
    problems: list[str] = []
    blocks = {block.id: block for block in page.blocks}
    met: set[str] = set()
    for one in shown_blocks(html):
        block = blocks.get(one.block_id)
        excerpt = " ".join(one.text.split())[:60]
        if block is None:
            problems.append(f"{page.path}: a reader sees a code block that no verdict covers: {excerpt!r}")
        elif _plain(one.text) != _plain(block.text):
            problems.append(f"{block.where}: a reader sees something else than what was run: {excerpt!r}")
        met.add(one.block_id)
    problems += [f"{blocks[i].where}: this block is run but no reader sees it" for i in blocks if i not in met]
    return problems


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
