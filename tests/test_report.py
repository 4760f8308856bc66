"""A verdict in the report speaks for one content and no other."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from handbook.pages import report
from handbook.pages.examples import validator
from handbook.pages.page import read_page
from handbook.pages.runner import Verdict


def verdicts(cases: Path) -> list[Verdict]:
    return [Verdict(block, "passed", 0.01) for block in read_page(cases / "good.md").blocks]


def test_written_report_fits_its_schema_and_comes_back(cases: Path, tmp_path: Path) -> None:
    whole = report.Report()
    report.add(whole, verdicts(cases), "mock 0.1.0", {"tests/cases/good.md": "0" * 16})
    report.write(whole, tmp_path / "report.json")
    validator("report").validate(json.loads((tmp_path / "report.json").read_text()))
    assert report.read(tmp_path / "report.json") == whole
    assert whole.counts() == {"passed": len(verdicts(cases)), "failed": 0, "excused": 0}


def test_other_content_has_no_verdict(cases: Path) -> None:
    whole = report.Report()
    report.add(whole, verdicts(cases), "mock 0.1.0", {"tests/cases/good.md": "0" * 16})
    block = read_page(cases / "good.md").blocks[0]
    assert whole.find(block.page, block.id, block.hash) is not None
    assert whole.find(block.page, block.id, "0" * 16) is None


def test_page_that_was_not_run_keeps_its_verdicts(cases: Path) -> None:
    whole = report.Report({"docs/other.md": report.PageReport("0" * 16, ())})
    report.add(whole, verdicts(cases), "mock 0.1.0", {"tests/cases/good.md": "0" * 16})
    assert sorted(whole.pages) == ["docs/other.md", "tests/cases/good.md"]


def test_no_report_is_no_error(tmp_path: Path) -> None:
    assert report.read(tmp_path / "report.json") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "pages": {"a": {"inputs": "", "blocks": [{"id": 1}]}}}']
)
def test_broken_report_says_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"report\.json: not a report: .*\n  hint: remove it"):
        report.read(file)


def test_runs_side_by_side_lose_none_of_each_others_pages(cases: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    first = verdicts(cases)[0]
    pages = {f"docs/{n}.md": replace(first, block=replace(first.block, page=f"docs/{n}.md")) for n in range(16)}
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(report.merge, [v], "mock 0.1.0", {page: "0" * 16}, path) for page, v in pages.items()]
    assert [run.result() for run in runs] == [None] * 16
    whole = report.read(path)
    assert whole and set(whole.pages) == set(pages)
