"""A small site: marks come from the report, for that very content, and holes fail a strict build."""

from __future__ import annotations

from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from handbook import facts
from handbook.pages import inputs, report, website
from handbook.pages.page import EFFECTS, Page, read_page
from handbook.pages.runner import Verdict

PAGE = """---
title: Page
---
# Page

```bash
echo 1
```

```{.bash effect="write"}
echo 2
```

```{.bash needs="people"}
echo 3
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "index.md"
    file.write_text(PAGE)
    return read_page(file)


def write_report(tmp_path: Path, page: Page, outcomes: tuple[str, ...]) -> None:
    whole = report.Report()
    verdicts = [
        Verdict(b, o, 0.1, "needs people" if o == "excused" else "")
        for b, o in zip(page.blocks, outcomes, strict=False)
    ]
    report.add(whole, verdicts, "mock 9.9", {page.path: inputs.of_page(page)})
    report.write(whole, tmp_path / "report.json")


def build_page(tmp_path: Path) -> str:
    config = load_config(
        str(facts.ROOT / "mkdocs.yml"),
        docs_dir=str(tmp_path / "docs"),
        site_dir=str(tmp_path / "site"),
        nav=["index.md"],
        extra={"report": str(tmp_path / "report.json")},
        strict=True,
    )
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return (tmp_path / "site" / "index.html").read_text()


def test_marks_say_what_the_report_says(tmp_path: Path, page: Page) -> None:
    write_report(tmp_path, page, ("passed", "failed", "excused"))
    html = build_page(tmp_path)
    assert html.count("✓ verified on mock 9.9, ") == 1
    assert html.count('<strong class="effect">writes</strong> ✗ failed on mock 9.9, ') == 1
    assert html.count("○ not run: needs people") == 1
    assert "1 of 3 blocks verified, 1 failed, 1 excused on mock 9.9, " in html


def test_every_effect_but_read_stands_under_its_block_in_words(tmp_path: Path, page: Page) -> None:
    assert website.SHOWN.keys() == set(EFFECTS)
    page.file.write_text(page.file.read_text().replace('effect="write"', 'effect="destructive"', 1))
    assert build_page(tmp_path).count('<strong class="effect">destructive</strong> not verified') == 1


def test_without_a_report_nothing_is_claimed(tmp_path: Path, page: Page) -> None:
    html = build_page(tmp_path)
    assert html.count("not verified</span>") == 3
    assert "✓ verified" not in html


def test_changed_block_loses_its_verdict_and_fails_the_build(tmp_path: Path, page: Page) -> None:
    write_report(tmp_path, page, ("passed", "passed", "excused"))
    page.file.write_text(PAGE.replace("echo 1", "echo 11"))
    with pytest.raises(Abort, match=r"Aborted with \d warnings? in strict mode"):
        build_page(tmp_path)


def test_code_without_a_fence_fails_the_build(tmp_path: Path, page: Page) -> None:
    page.file.write_text(PAGE + "\n<pre><code>rm -rf /</code></pre>\n")
    write_report(tmp_path, read_page(page.file), ("passed", "passed", "excused"))
    with pytest.raises(Abort, match="Aborted with 1 warnings"):
        build_page(tmp_path)


def test_changed_front_matter_takes_the_verdicts_away(tmp_path: Path, page: Page) -> None:
    write_report(tmp_path, page, ("passed", "passed", "excused"))
    page.file.write_text(PAGE.replace("title: Page", "title: Page\nnode: {treasury_balance: 9}"))
    with pytest.raises(Abort, match="Aborted with 3 warnings"):
        build_page(tmp_path)


def test_page_that_cannot_be_read_stops_the_build(tmp_path: Path, page: Page) -> None:
    page.file.write_text("# Page\n\n```\ntext\n```\n")
    with pytest.raises(Abort):
        build_page(tmp_path)
