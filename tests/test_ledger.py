"""What a reader sees and what was run are the same blocks, in both directions."""

from __future__ import annotations

import functools
from pathlib import Path

import markdown
from mkdocs.config import load_config

from handbook import facts
from handbook.pages import ledger
from handbook.pages.page import Page, read_page
from handbook.pages.website import tag_blocks


@functools.cache
def site_config() -> tuple[list[str], dict[str, dict[str, object]]]:
    config = load_config(str(facts.ROOT / "mkdocs.yml"))
    return config["markdown_extensions"], config["mdx_configs"]


def draw(page: Page) -> str:
    """The article that the site's own Markdown extensions draw."""
    extensions, configs = site_config()
    html = markdown.markdown(tag_blocks(page), extensions=extensions, extension_configs=configs)
    return f"<article>{html}</article>"


def test_every_place_a_fence_can_stand_is_paired(cases: Path) -> None:
    page = read_page(cases / "everywhere.md")
    html = draw(page)
    assert len(ledger.shown_blocks(html)) == 11
    assert ledger.check_page(page, html) == []


def test_block_that_nobody_ran_is_found(cases: Path) -> None:
    page = read_page(cases / "everywhere.md")
    html = draw(page).replace("</article>", "<pre><code>rm -rf /</code></pre></article>")
    assert ledger.check_page(page, html) == [
        "tests/cases/everywhere.md: a reader sees a code block that no verdict covers: 'rm -rf /'"
    ]


def test_indented_code_that_is_no_fence_is_found(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n\nText.\n\n    indented code\n")
    page = read_page(file)
    assert ledger.check_page(page, draw(page)) == [
        "page.md: a reader sees a code block that no verdict covers: 'indented code'"
    ]


def test_block_that_nobody_sees_is_found(cases: Path) -> None:
    page = read_page(cases / "everywhere.md")
    html = draw(page).replace("plain", "")
    assert ledger.check_page(page, html) == [
        "tests/cases/everywhere.md:3: a reader sees something else than what was run: ''"
    ]
    without = html.replace('data-block="fences-everywhere/2"', "")
    assert "tests/cases/everywhere.md:7: this block is run but no reader sees it" in ledger.check_page(page, without)


def test_changed_digit_is_found(cases: Path) -> None:
    page = read_page(cases / "everywhere.md")
    html = draw(page).replace("deep list", "deep 1ist")
    assert ledger.check_page(page, html) == [
        "tests/cases/everywhere.md:48: a reader sees something else than what was run: 'deep 1ist'"
    ]


def test_code_outside_the_article_does_not_count() -> None:
    assert ledger.shown_blocks("<pre>a</pre><article><p>b</p></article><pre>c</pre>") == []
