"""Snapshots outlive the process and bring everything back; a dump moves a state to another node."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_process import (  # noqa: F401  # small_shelves is a fixture
    NEW_YEAR,
    NodeProcess,
    ask,
    call,
    everything,
    fresh_node,
    payload,
    post,
    small_shelves,
)

from handbook.control import Refused
from handbook.node import control, snapshots
from handbook.node.config import Config, EnergyRates
from handbook.node.failure import RpcError, StartFailure
from handbook.node.gate import Caller
from handbook.node.node import Node

SUBMIT = "gov.treasury.submit_disbursement"


def do(node: Node, method: str, **params: Any) -> Any:
    result = control.run(node, method, params, Caller())
    node.commit()
    return result


def busy(node: Node) -> None:
    for amount in (100, 200, 300):
        ask(node, SUBMIT, payload(amount))
    ask(node, "gov.treasury.queue_disbursement", {"id": 1, "current_epoch": 1})
    ask(node, "gov.treasury.rollback_disbursement", {"id": 2, "reason": "twice"})
    do(node, "mock.fund", account="treasury", amount=50_000)
    do(node, "mock.mine", blocks=7)
    do(node, "mock.clock", advance=60)


def test_a_revert_gives_the_same_bytes_and_goes_on_from_there(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        busy(node)
        before = everything(node)
        taken = do(node, "mock.snapshot")
        busy(node)
        assert everything(node) != before
        do(node, "mock.revert", id=taken["id"])
        assert everything(node) == before
        assert ask(node, SUBMIT, payload(1))["result"]["id"] == 4
        do(node, "mock.revert", id=taken["id"])
        assert everything(node) == before


def test_a_snapshot_and_a_revert_outlive_a_kill(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, treasury_balance=1_000_000, clock=NEW_YEAR) as own:
        own.rpc.call(SUBMIT, payload(5))
        id_ = own.control.call("mock.snapshot")["id"]
        own.rpc.call(SUBMIT, payload(6))
        own.control.call("mock.clock", {"advance": 3600})
        own.kill()
    with NodeProcess(tmp_path) as own:
        assert own.rpc.call("gov.treasury.balance")["last_snapshot"]["id"] == 3
        own.control.call("mock.revert", {"id": id_})
        own.kill()
    with NodeProcess(tmp_path) as own:
        assert own.rpc.call("gov.treasury.balance")["last_snapshot"]["id"] == 2
        assert own.control.call("mock.status")["clock"] == {"frozen": True, "now": NEW_YEAR}
        assert own.rpc.call(SUBMIT, payload(7))["id"] == 2


def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        first = do(node, "mock.snapshot")["id"]
        second = do(node, "mock.snapshot")["id"]
        do(node, "mock.snapshots", drop=second)
        do(node, "mock.reset")
        assert do(node, "mock.snapshots") == {"snapshots": []}
        assert do(node, "mock.snapshot")["id"] > second > first


def test_an_unknown_snapshot_is_named_with_those_there_are(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        do(node, "mock.snapshot")
        with pytest.raises(RpcError, match=r"snapshot 9 is not kept \(kept: 1\)"):
            do(node, "mock.revert", id=9)
        with pytest.raises(RpcError, match="snapshot 9 is not kept"):
            do(node, "mock.snapshots", drop=9)


def test_the_number_of_snapshots_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LIMIT", 3)
    with fresh_node(tmp_path) as node:
        for _ in range(3):
            do(node, "mock.snapshot")
        with pytest.raises(RpcError, match="3 snapshots are kept already"):
            do(node, "mock.snapshot")
        do(node, "mock.snapshots", drop=2)
        assert [one["id"] for one in do(node, "mock.snapshots")["snapshots"]] == [1, 3]
        assert do(node, "mock.snapshot")["id"] == 4


def test_a_revert_without_its_checkpoint_is_damage(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        do(node, "mock.revert", id=do(node, "mock.snapshot")["id"])
        path = node.log.path
    db = sqlite3.connect(path)
    db.execute("DELETE FROM checkpoint")
    db.commit()
    db.close()
    with pytest.raises(StartFailure, match="the checkpoint of event 3 is missing"):
        Node(Config(data_dir=path.parent))


def test_an_executor_goes_on_after_a_revert(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, treasury_balance=1_000_000, clock=NEW_YEAR) as own:
        own.control.call("mock.executor", {"mode": "manual", "id": "treasury-a", "lease": 30})
        own.control.call("mock.tick")
        id_ = own.control.call("mock.snapshot")["id"]
        own.control.call("mock.clock", {"advance": 100})
        own.control.call("mock.tick")
        status = own.control.call("mock.revert", {"id": id_})
        assert status["executor"] == {"alive": True, "ended": None, "identity": "treasury-a", "mode": "manual"}
        own.control.call("mock.tick")
        assert own.rpc.call("gov.treasury.balance")["executor"]["lease_expires_at"] == NEW_YEAR + 30


def test_a_dump_moves_a_state_to_another_node(tmp_path: Path) -> None:
    dump = tmp_path / "state.dump"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with fresh_node(tmp_path / "a") as node:
        busy(node)
        do(node, "mock.dump", path=str(dump))
        before = everything(node)
        with pytest.raises(RpcError, match="nothing is overwritten"):
            do(node, "mock.dump", path=str(dump))
    with NodeProcess(tmp_path / "b") as own:
        own.control.call("mock.load", {"path": str(dump)})
        own.kill()
    node = Node(Config(data_dir=tmp_path / "b" / "node-data"))
    after = everything(node)
    node.close()
    assert after == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-9], "cut off or changed"),
        (lambda data: data.replace(b'"height":7', b'"height":8'), "cut off or changed"),
        (lambda data: data.replace(b'"format":1', b'"format":2'), "format 2"),
        (lambda data: b"", "not a dump"),
        (lambda data: b"\xff\xfe" + data, "not a dump"),
        (None, "No such file"),
    ],
)
def test_a_bad_dump_changes_nothing(tmp_path: Path, change: Any, why: str) -> None:
    dump = tmp_path / "state.dump"
    with fresh_node(tmp_path) as node:
        busy(node)
        do(node, "mock.dump", path=str(dump))
        if change:
            dump.write_bytes(change(dump.read_bytes()))
        else:
            dump.unlink()
        ask(node, SUBMIT, payload(9))
        before, events = everything(node), node.log.seq
        with pytest.raises(RpcError, match=why):
            do(node, "mock.load", path=str(dump))
        assert (everything(node), node.log.seq) == (before, events)


def answers(own: NodeProcess, count: int) -> list[int]:
    """HTTP statuses of so many calls, each on a connection of its own."""
    return [int(own.raw(post(call("consensus.difficulty")))[9:12]) for _ in range(count)]


def test_buckets_and_bans_come_back_with_a_snapshot_and_a_dump_and_go_with_a_restart(tmp_path: Path) -> None:
    env = {"TB_RPC_TOKENS_PER_SEC": "3", "TB_RPC_BAN_SECS": "3000"}
    (tmp_path / "a").mkdir()
    with NodeProcess(tmp_path / "a", env) as own:
        steer = own.control.call
        fresh = steer("mock.snapshot")["id"]
        assert answers(own, 30)[-1] == 429
        banned = steer("mock.snapshot")["id"]
        steer("mock.dump", {"path": str(tmp_path / "banned.dump")})
        steer("mock.revert", {"id": fresh})
        assert answers(own, 1) == [200], "nobody was banned then"
        steer("mock.revert", {"id": banned})
        assert answers(own, 2) == [429, 429]
        steer("mock.reset")
        assert answers(own, 1) == [200]
        steer("mock.load", {"path": str(tmp_path / "banned.dump")})
        assert answers(own, 1) == [429]
        own.kill()
    with NodeProcess(tmp_path / "a", env) as own:
        assert answers(own, 1) == [200], "a restart forgets, as the node does"


def test_a_revert_gives_an_energy_limiter_its_tokens_back(tmp_path: Path) -> None:
    rates = EnergyRates(settle=2, read=1e9, submit=1e9, dispute=1e9)

    def settled(node: Node) -> int:
        return int(ask(node, "energy.settle", {})["error"]["code"])

    with fresh_node(tmp_path, energy_rates=rates) as node:
        settled(node)
        id_ = do(node, "mock.snapshot")["id"]
        assert do(node, "mock.revert", id=id_)["events"] and settled(node) == -32602
        while settled(node) != -32002:
            pass
        do(node, "mock.revert", id=id_)
        assert settled(node) == -32602, "one token was left"


def test_nothing_is_refused_silently_on_the_wire(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own, pytest.raises(Refused, match="snapshot 1 is not kept"):
        own.control.call("mock.revert", {"id": 1})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 500_000)),
        st.tuples(st.just("queue"), st.integers(1, 6)),
        st.tuples(st.just("mine"), st.integers(1, 200)),
        st.tuples(st.just("snapshot"), st.just(0)),
        st.tuples(st.just("revert"), st.integers(0, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


ANY_ORDER = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@ANY_ORDER
@given(steps=STEPS)
def test_any_order_of_changes_reverts_and_restarts(steps: list[tuple[str, int]], tmp_path_factory: Any) -> None:
    in_order(steps, tmp_path_factory.mktemp("reverts"), keep_all=False)


@ANY_ORDER
@pytest.mark.usefixtures("small_shelves")
@given(steps=STEPS)
def test_any_order_on_a_node_that_keeps_all(steps: list[tuple[str, int]], tmp_path_factory: Any) -> None:
    in_order(steps, tmp_path_factory.mktemp("reverts"), keep_all=True)


def in_order(steps: list[tuple[str, int]], directory: Path, keep_all: bool) -> None:
    config = Config(data_dir=directory / "node-data", treasury_balance=1_000_000, clock=NEW_YEAR, keep_all=keep_all)
    node = Node(config)
    taken: list[tuple[int, bytes]] = []
    try:
        for step, number in steps:
            if step == "submit":
                ask(node, SUBMIT, payload(number))
            elif step == "queue":
                ask(node, "gov.treasury.queue_disbursement", {"id": number, "current_epoch": 1})
            elif step == "mine":
                do(node, "mock.mine", blocks=number)
            elif step == "snapshot":
                taken.append((do(node, "mock.snapshot")["id"], everything(node)))
            elif step == "revert" and taken:
                id_, state = taken[number % len(taken)]
                do(node, "mock.revert", id=id_)
                assert everything(node) == state
            elif step == "restart":
                before = everything(node)
                node.close()
                node = Node(config)
                assert everything(node) == before
    finally:
        node.close()
    assert len({id_ for id_, _ in taken}) == len(taken)
