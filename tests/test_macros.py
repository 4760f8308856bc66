"""What a macro draws is part of the page: blocks, headings, links and messages, at the macro's line."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_ledger import draw

from handbook import macros
from handbook.monitoring import rules
from handbook.pages import ledger, links, names
from handbook.pages.page import Page, PageError, read_page

PAGE = """---
title: Page
---
# Page

{{ drawn("a") }}

```{.text excused="shows a macro"}
{{ drawn("b") }}
```
"""


def drawn(name: str) -> str:
    """For these tests: a section with a block in a content tab."""
    return f'## Drawn {name}\n\n[x](gone.md)\n\n=== "curl"\n\n    ```bash\n    tb-cli {name}\n    ```\n'


def no_fence(name: str) -> str:
    return f"```\n{name}\n```"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    for one in (drawn, no_fence):
        monkeypatch.setitem(macros.MACROS, one.__name__, f"{__name__}:{one.__name__}")
    (tmp_path / "page.md").write_text(PAGE)
    return read_page(tmp_path / "page.md")


def test_drawn_blocks_stand_in_the_page_at_the_macros_line(page: Page) -> None:
    first, second = page.blocks
    assert (first.id, first.text, first.lang) == ("drawn-a/1", "tb-cli a\n", "bash")
    assert (first.line, first.body_line, first.end) == (6, 6, 6)
    assert first.macro == 'drawn("a")'
    assert (second.text, second.line, second.macro) == ('{{ drawn("b") }}\n', 8, "")
    assert ("drawn-a", 6) in [(slug, line) for _, _, slug, line in page.headings]


def test_the_site_shows_what_was_drawn_and_run(page: Page) -> None:
    html = draw(page)
    assert ledger.check_page(page, html) == []
    assert [one.block_id for one in ledger.shown_blocks(html)] == ["drawn-a/1", "drawn-a/2"]
    assert ledger.check_page(page, html.replace("tb-cli", "contract-cli")) == [
        "page.md:6: a reader sees something else than what was run: 'contract-cli a'"
    ]


def test_drawn_links_and_names_are_checked_at_the_macros_line(page: Page) -> None:
    dead, _ = links.check([page], page.file.parent)
    assert dead == ["page.md:6: the link gone.md leads to no file"]
    assert [problem.splitlines()[0] for problem in names.check(page)] == [
        "page.md:6: 'tb-cli' is retired: the node's command-line client has no such name (drawn by drawn(\"a\"))"
    ]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ('drawm("a")', "page.md:6: no macro 'drawm'\n  hint: meant drawn?"),
        ("drawn(a)", "page.md:6: 'drawn(a)' is no macro call"),
        ("drawn()", "page.md:6: drawn() missing 1 required positional argument: 'name'"),
        ('no_fence("a")', "page.md:6: a fence without a language"),
        ('method_head("gov_lost")', "page.md:6: no method 'gov_lost'\n  hint: meant gov_list?"),
    ],
)
def test_a_macro_that_draws_nothing_is_named_with_its_line(page: Page, call: str, problem: str) -> None:
    page.file.write_text(PAGE.replace('drawn("a")', call))
    with pytest.raises(PageError) as raised:
        read_page(page.file)
    assert str(raised.value).startswith(problem)


def test_every_macro_is_there() -> None:
    assert len(macros.MACROS) >= 6
    assert [name for name, place in macros.MACROS.items() if not callable(pkgutil.resolve_name(place))] == []


def test_an_alert_without_a_severity_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    alert = SimpleNamespace(alert=True, name="Odd", slug="odd", labels={"severity": "page"})
    monkeypatch.setattr(rules, "load_rules", lambda *files: [alert])
    assert macros.draw("runbook_table()").endswith("\n| `Odd` | page | none |  |")  # `handbook check` names both
