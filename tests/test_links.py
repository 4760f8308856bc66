"""A link that leads nowhere is found with its page and line, before the site is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook.pages import links
from handbook.pages.page import read_page

OTHER = "# Other\n\n## A part { #part }\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[there](other.md#part) and [here](#top)", ""),
        ("[elsewhere](https://example.org/#nothing)", ""),
        ("`[code](nowhere.md)`", ""),
        ("```text\n[block](nowhere.md)\n```", ""),
        ("![picture](nowhere.svg)", ""),
        ("a line\n\n[gone](nowhere.md)", "page.md:7: the link nowhere.md leads to no file"),
        ("[part](other.md#parts)", "page.md:5: no anchor #parts in other.md"),
        ("[part](other.md#part-two)", "page.md:5: no anchor #part-two in other.md (near: part)"),
        ("[fine](other.md) [within](#other)", "page.md:5: no anchor #other in page.md"),
    ],
)
def test_dead_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(f"# Page\n\n## Top {{ #top }}\n\n{text}\n")
    (tmp_path / "other.md").write_text(OTHER)
    monkeypatch.setattr("handbook.pages.page.facts.ROOT", tmp_path, raising=False)
    pages = [read_page(tmp_path / name) for name in ("page.md", "other.md")]
    problems, followed = links.check(pages, tmp_path)
    assert problems == ([found] if found else [])
    assert followed == len([one for one in ("there", "here", "gone", "part](", "fine", "within") if f"[{one}" in text])
