"""A shelf is a dict by contiguous number, wherever its objects are; what is on pages costs neither memory nor start."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_process import (  # noqa: F401  # small_shelves is a fixture
    ask,
    everything,
    fresh_node,
    payload,
    small_shelves,
    timelocked,
)

from handbook.node import control
from handbook.node.failure import RpcError, StartFailure
from handbook.node.gate import Caller
from handbook.node.library import rows_of
from handbook.node.node import Node
from handbook.node.salvage import salvage
from handbook.node.shelf import Shelf
from handbook.node.state import State, decode_state, encode_state

SUBMIT = "gov.treasury.submit_disbursement"
GET = "gov.treasury.disbursement"


def do(node: Node, method: str, **params: Any) -> Any:
    result = control.run(node, method, params, Caller())
    node.commit()
    return result


def filled(node: Node, count: int = 40) -> None:
    for amount in range(1, count + 1):
        ask(node, SUBMIT, payload(amount))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.integers(0, 1)),
        st.tuples(st.just("new"), st.integers(0, 1)),
        st.tuples(st.just("change"), st.integers(0, 40)),
        st.tuples(st.just("away"), st.integers(1, 3)),
        st.tuples(st.just("code"), st.integers(0, 3)),
        st.tuples(st.just("keep"), st.integers(0, 40)),
    ),
    min_size=30,
    max_size=120,
)


@pytest.mark.usefixtures("small_shelves")
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, first=st.integers(1, 6))
def test_a_shelf_is_a_dict(steps: list[tuple[str, int]], first: int) -> None:
    """Objects are `[number, version, mark]`; marks may be left out of a scan only where no object bears them."""
    shelf, model, pages = Shelf(), dict[int, list[int]](), list[list[Any]]()

    def write(objects: list[Any]) -> int:
        pages.append(objects)
        return len(pages) - 1

    shelf.read = pages.__getitem__
    for step, number in steps:
        numbers = list(model)
        if step == "new":
            new = max(model, default=first - 1) + 1
            model[new] = shelf[new] = [new, 0, 2 << number]
        elif step == "change" and numbers:
            old = model[numbers[number % len(numbers)]]
            model[old[0]] = shelf[old[0]] = [old[0], old[1] + 1, 2 << number % 3]
        elif step == "away":
            before = len(shelf.hot)
            shelf.put_away(write, lambda one: one[2], number)
            assert before < 3 or len(shelf.hot) <= before
        elif step == "code":
            again = decode_state(encode_state(State(records=shelf, statuses={"Draft": 0}))).records
            assert again.hot == shelf.hot and again.pages == shelf.pages
            shelf, again.read = again, shelf.read
        elif step == "keep" and number > 30 and numbers:
            kept = range(numbers[len(numbers) // 2], numbers[-1] + 1)
            shelf.keep(kept)
            model = {one: model[one] for one in kept}
        top = max(model, default=0)
        assert list(shelf) == list(model) and len(shelf) == len(model)
        assert [shelf.get(one) for one in range(top + 8)] == [model.get(one) for one in range(top + 8)]
        assert list(shelf.descending(top)) == list(reversed(model.values()))
        for mark in (2, 4, 8):
            wanted = [one for one in model.values() if one[2] == mark]
            assert [one for one in shelf.ascending(mark) if one[2] == mark] == wanted
            assert [one for one in shelf.descending(top, mark) if one[2] == mark] == wanted[::-1]
            assert all(one in model.values() for one in shelf.ascending(mark))


@pytest.mark.usefixtures("small_shelves")
def test_pages_are_filled_and_those_of_no_use_deleted(tmp_path: Path) -> None:
    with fresh_node(tmp_path, keep_all=True) as node:
        filled(node)
        state = node.state
        assert len(state.records.hot) <= 4 and len(state.records.pages) >= 18 and len(state.snapshots.pages) >= 18
        for _ in range(3):
            for id_ in range(1, 41):
                ask(node, "gov.treasury.queue_disbursement", {"id": id_, "current_epoch": 9})
        before = everything(node)
    db = sqlite3.connect(tmp_path / "node-data" / "node.sqlite")
    rows = {row for (row,) in db.execute("SELECT row FROM page")}
    used = set().union(*(rows_of(blob) for (blob,) in db.execute("SELECT state FROM checkpoint")))
    db.close()
    assert rows == used
    with fresh_node(tmp_path, keep_all=True) as node:
        assert everything(node) == before
        do(node, "mock.reset")
        assert not node.log.library.any()


@pytest.mark.usefixtures("small_shelves")
def test_filters_and_the_executor_find_what_is_on_pages(tmp_path: Path) -> None:
    with fresh_node(tmp_path, keep_all=True) as node:
        do(node, "mock.fund", account="treasury", amount=50_000)
        do(node, "mock.epoch", set=4)
        due = timelocked(node, 7)
        filled(node)
        waiting = timelocked(node, 9, deps=[due + 5])
        filled(node)
        assert due not in node.state.records.hot and waiting not in node.state.records.hot
        found = ask(node, "gov.treasury.disbursements", {"status": "Timelocked"})["result"]["disbursements"]
        assert [entry["disbursement"]["id"] for entry in found] == [waiting, due]
        do(node, "mock.executor", mode="manual")
        assert do(node, "mock.tick")["outcomes"] == ["success"]
        paid = ask(node, "gov.treasury.disbursements", {"status": "Executed"})["result"]["disbursements"]
        assert [entry["disbursement"]["id"] for entry in paid] == [due], "the other waits for a draft"


@pytest.mark.usefixtures("small_shelves")
def test_a_dump_with_pages_moves_to_another_node(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    with fresh_node(tmp_path / "a", keep_all=True) as node:
        filled(node)
        do(node, "mock.dump", path=str(dump))
        before = everything(node)
    with fresh_node(tmp_path / "b", keep_all=True) as node:
        filled(node, 10)
        do(node, "mock.load", path=str(dump))
        assert everything(node) == before
        filled(node, 3)
    with fresh_node(tmp_path / "b", keep_all=True) as node:
        assert [entry["disbursement"]["amount"] for entry in node.state.records.values()] == [*range(1, 41), 1, 2, 3]
    with fresh_node(tmp_path / "c") as node:  # which keeps 1024, all the same
        do(node, "mock.load", path=str(dump))
        assert everything(node) == before


@pytest.mark.usefixtures("small_shelves")
@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data.replace(b'"amount":2,', b'"amount":3,')])
def test_a_dump_with_a_bad_page_changes_nothing(tmp_path: Path, damage: Any) -> None:
    dump = tmp_path / "dump"
    with fresh_node(tmp_path, keep_all=True) as node:
        filled(node)
        do(node, "mock.dump", path=str(dump))
        dump.write_bytes(damage(dump.read_bytes()))
        before, seq = everything(node), node.log.seq
        pages = node.log.db.execute("SELECT count(*) FROM page").fetchone()
        with pytest.raises(RpcError, match=rf"{dump}:\d+: cut off or changed"):
            do(node, "mock.load", path=str(dump))
        assert (everything(node), node.log.seq) == (before, seq)
        assert node.log.db.execute("SELECT count(*) FROM page").fetchone() == pages
        filled(node, 5)


def first_page_damaged(data: Path) -> None:
    db = sqlite3.connect(data / "node.sqlite")
    db.execute("UPDATE page SET body = x'00' WHERE row = (SELECT min(row) FROM page)")
    db.commit()
    db.close()


@pytest.mark.usefixtures("small_shelves")
def test_a_bad_page_stops_a_start_and_salvage_does_without_it(tmp_path: Path) -> None:
    with fresh_node(tmp_path, keep_all=True) as node:
        filled(node)
        do(node, "mock.snapshot")
        before = everything(node)
    data = tmp_path / "node-data"
    first_page_damaged(data)
    with pytest.raises(StartFailure, match="page 1 fails its checksum"), fresh_node(tmp_path, keep_all=True):
        pass
    found = salvage(data, tmp_path / "new" / "node-data")
    assert (found.apart, found.lost, found.snapshots, found.snapshots_lost) == (0, 0, 0, 1)
    with fresh_node(tmp_path / "new", keep_all=True) as node:
        assert everything(node) == before


@pytest.mark.usefixtures("small_shelves")
def test_a_whole_file_with_pages_is_salvaged_whole(tmp_path: Path) -> None:
    with fresh_node(tmp_path, keep_all=True) as node:
        filled(node)
        id_ = do(node, "mock.snapshot")["id"]
        kept = everything(node)
        filled(node)
        before = everything(node)
        shutil.copytree(node.config.data_dir, tmp_path / "copy")
    found = salvage(tmp_path / "copy", tmp_path / "new" / "node-data")
    assert (found.damage, found.snapshots) == ("", 1)
    with fresh_node(tmp_path / "new", keep_all=True) as node:
        assert everything(node) == before
        do(node, "mock.revert", id=id_)
        assert everything(node) == kept


@pytest.mark.usefixtures("small_shelves")
def test_a_page_that_cannot_be_read_costs_only_what_is_on_it(tmp_path: Path) -> None:
    with fresh_node(tmp_path, keep_all=True) as node:
        filled(node)
        node.log.library.read.cache_clear()
        first_page_damaged(node.config.data_dir)
        node.state.records.pages[0] = type(node.state.records.pages[0])(1, 2, -1)
        answer = ask(node, GET, {"id": 1})
        assert answer["error"] == {"code": -32092, "message": "treasury storage error"}
        assert node.journal.page(0, None)["entries"][-1]["error"]["reason"] == "page 1 fails its checksum"
        assert ask(node, GET, {"id": 20})["result"]
        do(node, "mock.executor", mode="manual")
        assert do(node, "mock.tick") == {"alive": False, "outcomes": ["ended: page 1 fails its checksum"]}
        assert ask(node, SUBMIT, payload())["result"]["id"] == 41
