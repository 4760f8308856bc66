"""Blocks are found wherever a reader sees them."""

from __future__ import annotations

from pathlib import Path

from handbook.pages.page import read_page, slugify


def test_every_place_a_fence_can_stand(cases: Path) -> None:
    page = read_page(cases / "everywhere.md")
    assert [block.text.strip() for block in page.blocks] == [
        "plain",
        "braces",
        "tilde",
        "longer\n```bash\nnested\n```",
        "tab",
        "admonition",
        "details",
        "list",
        "deep list",
        "quote",
        "card",
    ]
    assert [block.lang for block in page.blocks] == ["text"] * 11


def test_ids_follow_headings_and_survive_new_lines(tmp_path: Path) -> None:
    fence = "\n```text\n{}\n```\n"
    text = "# Top\n{a}\n## Read it\n{b}{c}\n## Named {{ #short }}\n{d}".format(**{k: fence.format(k) for k in "abcd"})
    file = tmp_path / "page.md"
    file.write_text(text)
    before = read_page(file)
    assert [block.id for block in before.blocks] == ["top/1", "read-it/1", "read-it/2", "short/1"]
    file.write_text(text.replace("# Top\n", "# Top\n\nA new paragraph.\n"))
    after = read_page(file)
    assert [b.id for b in after.blocks] == [b.id for b in before.blocks]
    assert [b.hash for b in after.blocks] == [b.hash for b in before.blocks]
    assert [b.line for b in after.blocks] == [b.line + 2 for b in before.blocks]


def test_hash_follows_content_and_attributes(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    hashes = set()
    for text in (
        "```bash\ntrue\n```\n",
        "```bash\ntrue \n```\n",
        '```{.bash effect="write"}\ntrue\n```\n',
        "```text\ntrue\n```\n",
    ):
        file.write_text(text)
        hashes.add(read_page(file).blocks[0].hash)
    assert len(hashes) == 4


def test_same_heading_twice_gives_two_ids(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("## A\n\n```text\n1\n```\n\n## A\n\n```text\n2\n```\n")
    assert [block.id for block in read_page(file).blocks] == ["a/1", "a_1/1"]


def test_includes_are_put_in(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text('```bash\n--8<-- "commands/rpc.sh"\n```\n')
    assert "rpc()" in read_page(file).blocks[0].text


def test_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_bytes(b"\xef\xbb\xbf---\r\ntitle: T\r\n---\r\n# A\r\n\r\n```bash\r\ntrue\r\n```\r\n")
    page = read_page(file)
    assert (page.meta, page.blocks[0].text, page.blocks[0].line) == ({"title": "T"}, "true\n", 6)


def test_slugs_are_those_of_the_site() -> None:
    assert slugify("What `rpc` does, and why") == "what-rpc-does-and-why"
    assert slugify("If it does not work") == "if-it-does-not-work"
