"""Retired names: each is found where it stands, and no page of ours uses one."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from handbook import facts
from handbook.pages import examples, names
from handbook.pages.page import read_page

CASES = Path(__file__).parent / "cases" / "names"
ENTRIES = facts.load("retired.yml")


def test_an_old_program_and_an_old_address_are_reported_where_they_stand() -> None:
    assert names.check(read_page(CASES / "old-program.md")) == [
        "tests/cases/names/old-program.md:3: 'tb-cli' is retired: the node's command-line client has no such name"
        "\n  hint: contract-cli",
        "tests/cases/names/old-program.md:6: ':8000/rpc' is retired: the node serves only /;"
        " the mock serves /rpc as an alias\n  hint: POST /",
        "tests/cases/names/old-program.md:6: 'localhost:8000/rpc' is retired: the node never listened there"
        "\n  hint: http://127.0.0.1:3030/",
    ]


def test_a_placeholder_is_reported_in_a_request_and_not_in_prose() -> None:
    assert names.check(read_page(CASES / "placeholder.md")) == [
        "tests/cases/names/placeholder.md:8: '{...}' is retired: nothing can run it, so nothing has proved it"
        "\n  hint: a whole request; a reader pastes it as it stands",
    ]


def test_a_page_without_retired_names_is_clean() -> None:
    assert names.check(read_page(CASES / "clean.md")) == []


def test_a_name_inside_an_included_fragment_is_reported_at_the_include(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragment = tmp_path / "snippets" / "commands" / "old.sh"
    fragment.parent.mkdir(parents=True)
    fragment.write_text("# balance\ntb-cli balance\n")
    file = tmp_path / "page.md"
    file.write_text('# Page\n\n```bash\n--8<-- "commands/old.sh"\n```\n')
    names.retired()
    monkeypatch.setattr(facts, "ROOT", tmp_path)
    monkeypatch.setattr(facts, "SNIPPETS", tmp_path / "snippets")
    assert names.check(read_page(file)) == [
        "page.md:4: 'tb-cli' is retired: the node's command-line client has no such name"
        " (included from snippets/commands/old.sh:2)\n  hint: contract-cli",
    ]


def test_only_the_pages_on_the_list_may_name_it() -> None:
    page = read_page(CASES / "old-program.md")
    allowed = dataclasses.replace(page, path="docs/verification.md")
    assert [problem.split(": ")[0] for problem in names.check(allowed)] == [
        "docs/verification.md:6",
        "docs/verification.md:6",
    ]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_a_pattern_catches_its_examples_and_spares_the_others(entry: dict[str, list[str]]) -> None:
    found = re.compile(str(entry["pattern"]))
    assert [line for line in entry["catches"] if not found.search(line)] == []
    assert [line for line in entry.get("spares", []) if found.search(line)] == []


@pytest.mark.parametrize(("file", "least"), [("retired", 38), ("deviations", 135), ("names", 6), ("claims", 4)])
def test_the_fact_file_holds_to_its_schema(file: str, least: int) -> None:
    entries = facts.load(f"{file}.yml")
    assert [f"{e.json_path}: {e.message}" for e in examples.validator(file).iter_errors(entries)] == []
    assert len(entries) >= least


def test_deviations_are_numbered_without_a_gap_or_a_double() -> None:
    ids = [entry["id"] for entry in facts.load("deviations.yml")]
    assert [f"TB-{n:03}" for n in range(1, len(ids) + 1)] == ids


def test_a_name_that_pages_may_use_is_retired_once() -> None:
    listed = [entry["name"] for entry in ENTRIES]
    assert sorted(set(listed)) == sorted(listed)


def test_no_page_uses_a_retired_name() -> None:
    pages = names.pages()
    assert [place for place in names.PLACES if not list(facts.ROOT.glob(place))] == []
    assert len(pages) > len(names.PLACES)
    assert [problem for page in pages for problem in names.check(read_page(page))] == []
