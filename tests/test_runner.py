"""Every way a block can be wrong is caught, with page and line: `cases/pages/` holds one page for each."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from handbook.pages.page import PageError, read_page
from handbook.pages.runner import PageRun, Verdict
from handbook.target import Target

CASES = sorted((Path(__file__).parent / "cases" / "pages").glob("*.md"))
EXPECT = re.compile(r"<!-- expect: (.+?) -->", re.S)


def judge(file: Path, target: Target, **options: bool) -> list[Verdict]:
    page = read_page(file)
    run = PageRun(page, target, **options)
    try:
        return [run.verdict(block) for block in page.blocks]
    finally:
        run.close()


def write(directory: Path, text: str) -> Path:
    file = directory / "page.md"
    file.write_text(text)
    return file


def test_there_are_bad_pages() -> None:
    assert len(CASES) == 57


@pytest.mark.parametrize("file", CASES, ids=lambda f: f.stem)
def test_bad_page_is_caught(file: Path, mock: Target) -> None:
    wanted = EXPECT.search(file.read_text())
    assert wanted, f"{file.name} does not say what it expects"
    expected = f"tests/cases/pages/{file.name}{wanted[1]}" if wanted[1].startswith(":") else wanted[1]
    try:
        said = [v.message for v in judge(file, mock) if v.outcome == "failed"]
    except PageError as error:
        said = [str(error)]
    assert said, "nothing was caught"
    assert expected in said[-1]


def test_good_page_passes_in_every_part(cases: Path, mock: Target) -> None:
    verdicts = judge(cases / "good.md", mock)
    assert [(v.outcome, v.message) for v in verdicts if v.outcome == "failed"] == []
    assert [v.outcome for v in verdicts].count("passed") == 15
    assert [v.outcome for v in verdicts].count("excused") == 2


def test_failure_shows_what_the_node_saw(cases: Path, mock: Target) -> None:
    message = judge(cases / "pages" / "wrong-method.md", mock)[0].message
    assert "the node saw:" in message
    assert "gov.treasury.balanse null -> -32601 method not found" in message


def test_each_page_starts_on_a_fresh_node(tmp_path: Path, mock: Target, cases: Path) -> None:
    judge(cases / "pages" / "write-declared-read.md", mock)
    page = write(
        tmp_path,
        '```bash\ncurl -sS "$NODE" -d \'{"method":"gov.treasury.disbursements"}\' | jq -c .result\n```\n'
        '```{.json .output}\n{"disbursements":[],"next_cursor":null}\n```\n',
    )
    assert [v.outcome for v in judge(page, mock)] == ["passed", "passed"]


def test_front_matter_sets_the_node(tmp_path: Path, mock: Target) -> None:
    page = write(
        tmp_path,
        "---\nnode: {treasury_balance: 77, height: 240}\n---\n"
        '```bash\ncurl -sS "$NODE" -d \'{"method":"gov.treasury.balance"}\' | jq .result.balance\n```\n'
        "```{.text .output}\n77\n```\n",
    )
    assert [v.outcome for v in judge(page, mock)] == ["passed", "passed"]


def test_session_has_a_clean_environment(tmp_path: Path, mock: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    page = write(
        tmp_path, '```bash\necho "${SECRET_OF_THE_SHELL:-unset}"; ls | wc -l\n```\n```{.text .output}\nunset\n0\n```\n'
    )
    assert [v.outcome for v in judge(page, mock)] == ["passed", "passed"]


def test_live_node_gets_reads_only(tmp_path: Path, mock: Target) -> None:
    live = Target(mock.addresses, "live node", is_mock=False)
    page = write(
        tmp_path,
        '```bash\ntrue\n```\n```{.bash effect="write"}\ntrue\n```\n'
        '```{.bash effect="destructive"}\ntrue\n```\n```{.bash needs="mock"}\ntrue\n```\n',
    )
    assert [v.outcome for v in judge(page, live)] == ["passed", "excused", "excused", "excused"]
    assert [v.outcome for v in judge(page, live, allow_writes=True)] == ["passed", "passed", "excused", "excused"]


def test_nothing_that_a_page_started_is_left(tmp_path: Path, mock: Target) -> None:
    page = write(tmp_path, "```bash\nsleep 300 &\necho $!\n```\n")
    run = PageRun(read_page(page), mock)
    block = run.page.blocks[0]
    assert run.verdict(block).outcome == "passed"
    assert run._last is not None
    pid = int(run._last.output)
    run.close()
    deadline = time.monotonic() + 5
    while (gone := not Path(f"/proc/{pid}").exists()) is False and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone
