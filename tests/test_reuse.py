"""What passed is not run again while nothing changes; a change of any kind runs it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook.pages import green, inputs
from handbook.pages.page import read_page
from handbook.pages.run import Options, Run
from handbook.pages.runner import Verdict
from handbook.target import MockProcess

PAGE = "# Page\n\n```bash\necho ran >> {log}\n```\n"


@pytest.fixture
def once(tmp_path: Path, mock_process: MockProcess, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page that leaves a line behind each time it is run, run once."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(log=tmp_path / "log"))
    judge(page, mock_process)
    return page


def judge(file: Path, node: MockProcess, reuse: bool = True) -> Verdict:
    run = Run(Options(addresses=node.addresses, report=file.parent / "report.json", reuse=reuse))
    page = read_page(file)
    try:
        return [run.verdict(page, block) for block in page.blocks][-1]
    finally:
        run.finish()


def times_run(file: Path) -> int:
    return len((file.parent / "log").read_text().splitlines())


def test_unchanged_page_is_not_run_again(once: Path, mock_process: MockProcess) -> None:
    assert judge(once, mock_process).outcome == "passed"
    assert times_run(once) == 1


def test_without_the_flag_it_is(once: Path, mock_process: MockProcess) -> None:
    judge(once, mock_process, reuse=False)
    assert times_run(once) == 2


def test_changed_page_is_run_again(once: Path, mock_process: MockProcess) -> None:
    once.write_text(once.read_text() + "\nA new sentence.\n")
    judge(once, mock_process)
    assert times_run(once) == 2


def test_changed_engine_runs_it_again(once: Path, mock_process: MockProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_of", lambda places: "another engine")
    judge(once, mock_process)
    assert times_run(once) == 2


def test_unreadable_report_is_replaced(once: Path, mock_process: MockProcess) -> None:
    (once.parent / "report.json").write_text('{"format": 1, "pages": []}')
    judge(once, mock_process)
    judge(once, mock_process)
    assert times_run(once) == 2


def test_failed_page_is_run_again(once: Path, mock_process: MockProcess) -> None:
    once.write_text(once.read_text().replace("\n```\n", "; false\n```\n"))
    assert [judge(once, mock_process).outcome for _ in range(2)] == ["failed", "failed"]
    assert times_run(once) == 3


def test_digest_sees_every_file_that_verdicts_rest_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handbook.facts.ROOT", tmp_path)
    seen = set()
    for place in inputs.CHECKOUT:
        file = tmp_path / place
        if file.suffix or place == "Makefile":
            file.write_text("1")
        else:
            file.mkdir()
            (file / "inside").write_text("1")
        seen.add(inputs._of.__wrapped__(inputs.CHECKOUT))
    assert len(seen) == len(inputs.CHECKOUT)


def test_green_run_counts_only_for_the_very_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "green.json"
    green.remember(900, 3, file)
    known = green.last(file)
    assert known
    assert (known.passed, known.skipped) == (900, 3)
    monkeypatch.setattr(inputs, "of_checkout", lambda: "another checkout")
    assert green.last(file) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inputs": 1}'])
def test_unreadable_memory_is_no_green_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "green.json").write_text(text)
    assert green.last(tmp_path / "green.json") is None
