"""Every entry of the ledger that the mock can show has a test that shows it."""

from __future__ import annotations

import test_node_deviations  # noqa: F401  its tests enter themselves into SHOWN
import test_node_hazards  # noqa: F401
import test_node_hazards_energy  # noqa: F401
from shown import SHOWN, unproved

from handbook import facts
from handbook.node.deviations import AT_START

LEDGER = facts.load("deviations.yml")


def test_every_entry_that_a_mock_can_show_is_shown() -> None:
    assert unproved(LEDGER, SHOWN, AT_START) == []
    assert len(SHOWN) == sum(bool(entry["fault"]) or "rehearse" in entry for entry in LEDGER) == 94


def test_an_entry_that_no_test_shows_is_found() -> None:
    faulty = next(entry for entry in LEDGER if entry["fault"] and entry["fault"] not in AT_START)
    silent = next(entry for entry in LEDGER if "no_fault" in entry)
    id_, fault = faulty["id"], faulty["fault"]
    assert unproved([faulty], {}, AT_START) == [f"{id_}: no test shows it"]
    other = {id_: ["def test_x(): assert True"]}
    assert unproved([faulty], other, AT_START) == [f"{id_}: no test of it uses the fault {fault}"]
    assert unproved([faulty], {id_: [f'add("{fault}")']}, AT_START) == []
    assert unproved([silent], {silent["id"]: ["x"]}, AT_START) == [
        f"{silent['id']}: a test shows it, and the entry says that no mock does"
    ]
