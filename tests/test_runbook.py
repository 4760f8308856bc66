"""A runbook is one when it keeps its contract; alerts and runbooks lead to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook import document, facts
from handbook.macros.runbooks import runbook_table
from handbook.monitoring.rules import Rule, load_rules
from handbook.pages.page import read_page
from handbook.pages.runbook import SECTIONS, Runbook, all_runbooks, check, check_links

CASES = Path(__file__).parent / "cases" / "runbooks"
TEMPLATE = facts.ROOT / "runbooks" / "_template.md"
RULES = load_rules(facts.ROOT / "monitoring" / "alert_rules.yml")
ALERTS = tuple(rule for rule in RULES if rule.alert)
RECEIVERS = {
    receiver["name"] for receiver in document.read(facts.ROOT / "monitoring" / "alertmanager.yml").data["receivers"]
}
ORDER = ", ".join(SECTIONS)

GOOD = "good"
BAD = {
    "severity-of-its-own": ["3: front matter: $.severity: 'page' is not one of ['critical', 'warning', 'info']"],
    "no-owner": ["1: front matter: $: 'owner' is a required property"],
    "unknown-member": ["1: front matter: $: Additional properties are not allowed ('mood' was unexpected)"],
    "section-missing": [f"1: no section “Impact”\n  hint: in order: {ORDER}"],
    "section-unknown": ["61: unknown section “Background”"],
    "section-twice": ["61: section “Verify” is out of order or there twice"],
    "sections-swapped": ["15: section “Meaning” is out of order or there twice"],
    "command-too-low": ["43: no command on the first screen\n  hint: one at line 40 or above"],
    "no-command-at-all": [
        "1: no command on the first screen\n  hint: one at line 40 or above",
        "19: section “Confirm” holds no command",
        "29: section “Mitigate” holds no command",
        "39: section “Verify” holds no command",
    ],
    "confirms-with-words": ["19: section “Confirm” holds no command"],
    "confirms-with-a-scene": [
        "43: no command on the first screen\n  hint: one at line 40 or above",
        "19: section “Confirm” holds no command",
    ],
    "confirm-writes": ["21: section “Confirm” writes; it may only read"],
    "confirm-without-output": ["19: section “Confirm” shows no output"],
    "verify-writes": ["49: section “Verify” writes; it may only read"],
    "verify-with-empty-output": ["47: section “Verify” shows no output"],
    "diagnose-without-table": [
        "29: section “Diagnose” holds no table\n  hint: observation, cause, which mitigation",
    ],
    "mitigate-with-words": ["35: section “Mitigate” holds no command"],
    "mitigate-without-step": ["35: section “Mitigate” has no step\n  hint: a ### heading for each"],
    "step-without-undo": ["37: step “Mend” has no line that begins with **Undo**"],
    "step-without-stop": ["37: step “Mend” has no line that begins with **Stop if**"],
}
RULE = Rule(
    name="TreasuryBroke",
    alert=True,
    expr="up == 0",
    labels={"severity": "critical"},
    annotations={"runbook_url": f"{facts.SITE_URL}runbooks/good/"},
    group="g",
    where="rules.yml:7",
    expr_where="rules.yml:8",
)
BAD_LINKS = {
    "wrong-alert": [
        "2: alert TreasuryFine: no alert rule has this name\n  hint: one of TreasuryBroke",
        "2: TreasuryBroke (rules.yml:7) leads here and is not named\n  hint: alert: [A, B]",
    ],
    "other-severity": ["3: severity warning: its rule (rules.yml:7) says critical"],
    "unknown-owner": ["5: owner nobody: no receiver has this name\n  hint: one of pagerduty, treasury-team"],
    "drill-without-scene": ["7: drill here: the page sets no scene that changes anything"],
    "unknown-drill": [
        "7: drill meteor: no chaos scenario has this anchor\n  hint: one of executor-crash, scrape-failure",
    ],
}


def case(name: str) -> Runbook:
    return Runbook(read_page(CASES / f"{name}.md"))


def links(name: str, rule: Rule = RULE) -> list[str]:
    return check_links([case(name)], [rule], {"treasury-team", "pagerduty"}, {"executor-crash", "scrape-failure"})


def test_the_good_runbook_passes() -> None:
    assert check(case(GOOD).page) == []
    assert links(GOOD) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_runbook_is_caught(name: str) -> None:
    assert check(case(name).page) == [f"tests/cases/runbooks/{name}.md:{problem}" for problem in BAD[name]]


@pytest.mark.parametrize("name", BAD_LINKS)
def test_a_bad_link_is_caught(name: str) -> None:
    slug = RULE.slug.replace("good", name)
    rule = Rule(**{**vars(RULE), "annotations": {"runbook_url": f"{facts.SITE_URL}runbooks/{slug}/"}})
    problems = [problem for problem in links(name, rule) if not problem.startswith("rules.yml")]
    assert problems == [f"tests/cases/runbooks/{name}.md:{problem}" for problem in BAD_LINKS[name]]


def test_a_rule_that_leads_elsewhere_is_caught_on_both_sides() -> None:
    elsewhere = Rule(**{**vars(RULE), "annotations": {"runbook_url": f"{facts.SITE_URL}runbooks/elsewhere/"}})
    assert links(GOOD, elsewhere) == [
        "tests/cases/runbooks/good.md:2: alert TreasuryBroke: its rule (rules.yml:7) leads to elsewhere",
        "rules.yml:7: TreasuryBroke leads to runbooks/elsewhere.md, which does not exist",
    ]


def test_a_page_of_several_alerts_names_them_all_and_has_the_worst_severity(tmp_path: Path) -> None:
    slow = Rule(**{**vars(RULE), "name": "TreasurySlow", "labels": {"severity": "warning"}, "where": "rules.yml:9"})
    text = (CASES / "good.md").read_text()
    for alert, severity, expected in (
        ("[TreasuryBroke, TreasurySlow]", "critical", []),
        ("[TreasurySlow, TreasuryBroke]", "warning", ["3: severity warning: its rule (rules.yml:7) says critical"]),
        (
            "TreasuryBroke",
            "critical",
            ["2: TreasurySlow (rules.yml:9) leads here and is not named\n  hint: alert: [A, B]"],
        ),
    ):
        file = tmp_path / "good.md"
        changed = text.replace("alert: TreasuryBroke", f"alert: {alert}").replace(
            "severity: critical", f"severity: {severity}"
        )
        file.write_text(changed)
        book = Runbook(read_page(file))
        assert check(book.page) == []
        problems = check_links([book], [RULE, slow], {"treasury-team"}, {"executor-crash"})
        assert problems == [f"{book.page.path}:{problem}" for problem in expected]


def test_an_alert_that_leads_to_a_part_the_page_has_not_is_caught() -> None:
    for anchor, expected in (
        ("mend", []),
        ("amend", ["rules.yml:7: TreasuryBroke leads to runbooks/good.md#amend, which that page has not"]),
    ):
        rule = Rule(**{**vars(RULE), "annotations": {"runbook_url": f"{facts.SITE_URL}runbooks/good/#{anchor}"}})
        assert (rule.slug, links(GOOD, rule)) == ("good", expected)


def test_every_case_is_used() -> None:
    assert {file.stem for file in CASES.glob("*.md")} == {GOOD, *BAD, *BAD_LINKS}


def test_the_runbooks_keep_their_contract() -> None:
    books = all_runbooks()
    assert len(books) >= 3
    assert [problem for book in books for problem in check(book.page)] == []


def test_the_template_keeps_the_contract_it_explains() -> None:
    assert check(read_page(TEMPLATE)) == []


def test_alerts_and_runbooks_lead_to_each_other() -> None:
    assert len(ALERTS) >= 7
    drills = {slug for _, _, slug, _ in read_page(facts.ROOT / "docs" / "CHAOS_TESTING.md").headings}
    assert check_links(all_runbooks(), RULES, RECEIVERS, drills) == []


def test_the_index_lists_every_alert() -> None:
    rows = runbook_table().splitlines()[2:]
    assert sorted(row.split("`")[1] for row in rows) == sorted(rule.name for rule in ALERTS)


def test_no_runbook_is_excused_from_more_than_one_block_in_ten() -> None:
    ran = [b for book in all_runbooks() for b in book.page.blocks if b.lang in ("bash", "python") and not b.is_output]
    excused = [b for b in ran if "excused" in b.attrs or set(b.needs) - {"mock"}]
    assert len(ran) >= 40
    assert len(excused) * 10 < len(ran)
