"""The drill and recovery pages hold what they promise: every scenario injects, shows a symptom and verifies its repair.

A drill whose fault left no visible symptom proves nothing; so a symptom is a block with an output under it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook import facts
from handbook.pages.page import Block, Page, read_page

CASES = Path(__file__).parent / "cases" / "drills"
DRILLS = facts.ROOT / "docs" / "CHAOS_TESTING.md"
RECOVERY = facts.ROOT / "docs" / "BACKUP_AND_RECOVERY.md"

SCENARIOS = {
    "executor-crash": "Treasury executor crashes mid-disbursement",
    "dependency-rollback": "Dependency rollback after dependent executes",
    "scrape-failure": "Prometheus scrape failure",
    "database-inconsistency": "Database inconsistency",
    "network-partition": "Network partition during voting",
    "shared-chain": "Two executors on one chain",
}
PARTS = {
    "backup": "Database backup strategy",
    "snapshots": "State snapshot procedures",
    "point-in-time": "Point-in-time recovery",
    "disaster-recovery": "Disaster recovery runbook",
    "rto": "RTO: Recovery Time Objective",
    "rpo": "RPO: Recovery Point Objective",
}
PHASES = ("How to induce", "Expected symptoms", "Recovery", "Prevention")


def section_problems(page: Page, wanted: dict[str, str]) -> list[str]:
    """What differs between the page's level-2 headings and `wanted` (id → heading); others may stand between."""
    found = {slug: text for level, text, slug, _ in page.headings if level == 2 and slug in wanted}
    problems = [f"{page.path}: no section {text!r} {{ #{slug} }}" for slug, text in wanted.items() if slug not in found]
    problems += [
        f"{page.path}: #{slug} is called {found[slug]!r}, expected {text!r}"
        for slug, text in wanted.items()
        if slug in found and found[slug] != text
    ]
    if list(found) != [slug for slug in wanted if slug in found]:
        problems.append(f"{page.path}: the order is {', '.join(found)}, expected {', '.join(wanted)}")
    return problems


def drill_problems(page: Page, scenario: str) -> list[str]:
    """What is missing in one drill: a phase, the injection, the visible symptom, the verified recovery."""
    phases = _phases(page, scenario)
    if tuple(phases) != PHASES:
        return [f"{page.path}: #{scenario} has the parts {', '.join(phases) or 'none'}, expected {', '.join(PHASES)}"]
    problems = []
    if not any(block.lang == "bash" and block.effect != "read" for block in phases["How to induce"]):
        problems.append(f"{page.path}: #{scenario} induces nothing: no bash block with an effect")
    for phase, what in (("Expected symptoms", "shows no symptom"), ("Recovery", "shows no recovered state")):
        if not any(block.is_output and block.text.strip() for block in phases[phase]):
            problems.append(f"{page.path}: #{scenario} {what}: no block with an output")
    problems += [
        f"{page.path}: #{scenario} is excused from injecting or showing its fault at line {block.line}"
        for phase in PHASES[:2]
        for block in phases[phase]
        if "excused" in block.attrs or set(block.needs) - {"mock"}
    ]
    return problems


def _phases(page: Page, scenario: str) -> dict[str, list[Block]]:
    """The scenario's level-3 headings in order, each with the blocks under it."""
    inside, phase, marks = False, "", []
    for level, text, slug, line in page.headings:
        if level <= 2:
            inside, phase = slug == scenario, ""
        elif level == 3:
            phase = text
        marks.append((line, phase if inside else ""))
    found: dict[str, list[Block]] = {phase: [] for _, phase in marks if phase}
    for block in page.blocks:
        under = [phase for line, phase in marks if line < block.line]
        if under and under[-1]:
            found[under[-1]].append(block)
    return found


def test_the_chaos_page_has_the_seed_s_five_scenarios_in_order_and_ours() -> None:
    assert section_problems(read_page(DRILLS), SCENARIOS) == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_induces_its_fault_shows_the_symptom_and_the_recovered_state(scenario: str) -> None:
    assert drill_problems(read_page(DRILLS), scenario) == []


def test_the_recovery_page_has_the_six_parts_in_the_seed_s_order() -> None:
    assert section_problems(read_page(RECOVERY), PARTS) == []


@pytest.mark.parametrize("file", [DRILLS, RECOVERY], ids=lambda file: file.stem)
def test_a_page_that_kills_nodes_starts_its_own(file: Path) -> None:
    assert read_page(file).meta.get("node") == "own"


@pytest.mark.parametrize(("file", "least"), [(DRILLS, 35), (RECOVERY, 20)], ids=["drills", "recovery"])
def test_under_one_block_in_ten_is_excused(file: Path, least: int) -> None:
    ran = [block for block in read_page(file).blocks if block.lang in ("bash", "python")]
    excused = [block for block in ran if "excused" in block.attrs or set(block.needs) - {"mock"}]
    assert len(ran) >= least
    assert len(excused) * 10 < len(ran)


def test_every_phase_of_every_scenario_is_counted() -> None:
    page = read_page(DRILLS)
    phases = [phase for scenario in SCENARIOS for phase in _phases(page, scenario)]
    assert len(phases) == len(SCENARIOS) * len(PHASES)


GOOD = "drill"
BAD_DRILLS = {
    "no-recovery": "#network-partition has the parts How to induce, Expected symptoms, Prevention, "
    "expected How to induce, Expected symptoms, Recovery, Prevention",
    "phases-swapped": "#network-partition has the parts How to induce, Recovery, Expected symptoms, Prevention, "
    "expected How to induce, Expected symptoms, Recovery, Prevention",
    "no-such-scenario": "#network-partition has the parts none, "
    "expected How to induce, Expected symptoms, Recovery, Prevention",
    "induces-nothing": "#network-partition induces nothing: no bash block with an effect",
    "no-symptom": "#network-partition shows no symptom: no block with an output",
    "empty-symptom": "#network-partition shows no symptom: no block with an output",
    "no-recovered-state": "#network-partition shows no recovered state: no block with an output",
    "fault-excused": "#network-partition is excused from injecting or showing its fault at line 7",
}


def test_the_good_drill_passes() -> None:
    assert drill_problems(read_page(CASES / f"{GOOD}.md"), "network-partition") == []


@pytest.mark.parametrize("case", BAD_DRILLS)
def test_a_bad_drill_is_caught(case: str) -> None:
    assert drill_problems(read_page(CASES / f"{case}.md"), "network-partition") == [
        f"tests/cases/drills/{case}.md: {BAD_DRILLS[case]}"
    ]


BAD_PARTS = {
    "part-missing": "no section 'State snapshot procedures' { #snapshots }",
    "part-renamed": "#rpo is called 'How much is lost', expected 'RPO: Recovery Point Objective'",
    "parts-swapped": "the order is backup, point-in-time, snapshots, disaster-recovery, rto, rpo, "
    "expected backup, snapshots, point-in-time, disaster-recovery, rto, rpo",
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_parts_are_caught(case: str) -> None:
    assert section_problems(read_page(CASES / f"{case}.md"), PARTS) == [
        f"tests/cases/drills/{case}.md: {BAD_PARTS[case]}"
    ]


def test_every_case_is_used() -> None:
    assert {file.stem for file in CASES.glob("*.md")} == {GOOD, *BAD_DRILLS, *BAD_PARTS}
