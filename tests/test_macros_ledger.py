"""Tables of the ledger, of names and of claims: all that is in the facts is drawn, once."""

from __future__ import annotations

import re

import pytest

from handbook import facts, macros

LEDGER = facts.load("deviations.yml")
BUILD = "0ecc756a"


def test_the_counts_are_those_of_the_tabs_and_of_the_ledger() -> None:
    tabs = dict(re.findall(r'=== "(\w+) \((\d+)\)"', macros.draw(f'deviation_overview("{BUILD}")')))
    together = re.findall(r"\d+", macros.draw(f'deviation_counts("{BUILD}")').splitlines()[-1])
    assert list(tabs) == ["critical", "warning", "info"] and list(tabs.values()) == together
    assert sum(map(int, together)) == len(LEDGER)


def test_every_entry_has_a_line_in_the_overview_and_a_section_that_it_leads_to() -> None:
    overview, table = macros.draw(f'deviation_overview("{BUILD}")'), macros.draw("deviation_table()")
    leads, sections = re.findall(r"\(#(tb-\d+)\)<br>", overview), re.findall(r"^### .* \{ #(tb-\d+) \}$", table, re.M)
    ids = sorted(entry["id"].lower() for entry in LEDGER)
    assert sorted(leads) == ids == sorted(sections)
    for words in ("**You lose:**", "**Do:**", "evidence [`["):
        assert table.count(words) == len(ids)
    assert table.count("**Rehearse:**") + table.count("**Not rehearsed:**") == len(ids)


def test_a_critical_hazard_says_how_it_is_rehearsed() -> None:
    rows = macros.draw("hazard_table()").splitlines()[2:]
    assert len(rows) == sum(entry["contract"] == "same" and entry["severity"] == "critical" for entry in LEDGER) >= 15
    assert "With the fault `after_submit`." in "\n".join(rows)


def test_names_and_claims_are_drawn_whole() -> None:
    listed = facts.load("names.yml")
    drawn = "\n".join(macros.draw(f'command_table("{one}")') for one in ("node", "contract-cli", "snapshot", "cargo"))
    assert all(f"| `{entry['name']}` |" in drawn for entry in listed["commands"])
    flags = macros.draw('flag_table("node run")')
    assert flags.count("\n") == len(listed["commands"][0]["flags"]) + 1 and "| `treasury-<process id>` |" in flags
    assert macros.draw("variable_table()").count("\n| `") == len(listed["variables"])
    assert macros.draw("port_table()").count("\n| ") == len(listed["ports"])
    assert macros.draw("outside_table()").count("\n| m") == len(listed["metrics"]) + len(listed["methods"])
    claims = facts.load("claims.yml")
    assert {one: macros.draw(f'claim_table("{one}")').count("\n| ") for one in claims} == {
        one: len(found) for one, found in claims.items()
    }


@pytest.mark.parametrize(
    "call",
    [
        'deviation_counts("deadbeef")',
        'deviation_overview("deadbeef")',
        'command_table("nod")',
        'flag_table("node")',
        'claim_table("weather")',
    ],
)
def test_a_table_of_nothing_is_an_error(call: str) -> None:
    with pytest.raises(macros.MacroError, match=r"deadbeef|'nod'|'node'|weather"):
        macros.draw(call)
