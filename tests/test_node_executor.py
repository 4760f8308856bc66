"""The executor keeps the node's hazards: each row of its failure table, and each crash point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, NodeProcess, ask, fresh_node, payload, timelocked

from handbook.node import events as ev
from handbook.node.breaker import Breaker
from handbook.node.executor import Executor
from handbook.node.exposition import render
from handbook.node.node import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with fresh_node(tmp_path) as started:
        started.record(ev.HeightSet(120 * 5), ev.Funded("treasury", 10_000))
        started.start_executor("manual", "node-a", lease=60)
        yield started


def tick(node: Node, seconds: int = 1) -> str:
    node.record(ev.ClockSet(node.now() + seconds, 0))
    outcome = executor(node).tick()
    node.commit()
    return outcome


def executor(node: Node) -> Executor:
    assert node.executor
    return node.executor


def state_of(node: Node, id_: int) -> str:
    status = ask(node, "gov.treasury.disbursement", {"id": id_})["result"]["disbursement"]["disbursement"]["status"]
    return next(iter(status))


def snapshot(node: Node) -> dict[str, Any]:
    seen: dict[str, Any] = ask(node, "gov.treasury.balance")["result"]["executor"]
    return seen


def test_a_payment_leaves_the_counter_the_account_and_the_mempool_as_the_node_does(node: Node) -> None:
    id_ = timelocked(node, 100)
    assert "success" == tick(node)
    assert ("Executed", 999_900, 1, 0) == (
        state_of(node, id_),
        node.state.counter,
        len(node.state.mempool),
        len(node.state.intents),
    )
    assert {"amount": 10_000} == ask(node, "balance", {"address": "treasury"})["result"], "not mined yet"
    node.record(ev.Mined(1))
    assert (9_900, 100) == tuple(
        ask(node, "balance", {"address": a})["result"]["amount"] for a in ("treasury", "tb1qx")
    )
    assert 0 == ask(node, "mempool.stats")["result"]["size"]
    assert 1 == snapshot(node)["last_submitted_nonce"] == snapshot(node)["lease_last_nonce"]


def test_there_is_no_executor_member_before_the_first_tick(node: Node) -> None:
    assert snapshot(node) is None
    tick(node)
    assert {"lease_holder": "node-a", "pending_matured": 0}.items() <= snapshot(node).items()


def test_a_draft_with_a_proposal_and_one_whose_epoch_has_not_come_are_left_alone(node: Node) -> None:
    ask(node, "gov.treasury.submit_disbursement", payload())
    late = timelocked(node, 100, epoch=6)
    assert "success" == tick(node)
    assert ("Timelocked", 0) == (state_of(node, late), snapshot(node)["pending_matured"])
    node.record(ev.Mined(120))
    tick(node)
    assert "Executed" == state_of(node, late)


def test_a_missing_account_stops_the_tick_there_and_freezes_the_gauges(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        node.record(ev.HeightSet(120))
        node.start_executor("manual")
        tick(node)
        gauges = dict(node.metrics.gauges)
        first, second = timelocked(node), timelocked(node)
        assert "error: treasury account missing" == tick(node)
        assert ("treasury account missing", NEW_YEAR + 2) == (
            snapshot(node)["last_error"],
            snapshot(node)["last_tick_at"],
        )
        assert gauges == node.metrics.gauges
        assert executor(node).alive
        node.record(ev.Funded("treasury", 1_000))
        assert "success" == tick(node)
        assert ["Executed", "Executed"] == [state_of(node, id_) for id_ in (first, second)]


def test_a_short_account_blocks_every_later_record_and_cancels_none(node: Node) -> None:
    big, small = timelocked(node, 20_000), timelocked(node, 1)
    assert "error: insufficient treasury BLOCK balance" == tick(node)
    assert ["Timelocked", "Timelocked"] == [state_of(node, id_) for id_ in (big, small)]


def test_a_short_counter_lets_the_coins_go_and_then_ends_the_thread(node: Node) -> None:
    node.record(ev.BalanceMoved("Accrual", -999_990, None, node.now()))
    id_ = timelocked(node, 100)
    assert f"ended: treasury balance insufficient for disbursement {id_}" == tick(node)
    assert ("Timelocked", 1, 1) == (state_of(node, id_), len(node.state.mempool), len(node.state.intents))
    assert snapshot(node) is None, "the snapshot of a tick that ends the thread is not stored"
    assert ("", True) == (node.state.lease and node.state.lease.holder, node.state.lease and node.state.lease.released)
    assert tick(node).startswith("ended: ")


def test_a_matured_queued_record_is_paid_and_ends_the_thread(node: Node) -> None:
    id_ = ask(node, "gov.treasury.submit_disbursement", payload())["result"]["id"]
    for epoch in (1, 2):
        ask(node, "gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
    assert "ended: disbursement 1 still timelocked; advance state before execution" == tick(node)
    assert ("Queued", 1) == (state_of(node, id_), len(node.state.mempool))


def test_a_cycle_waits_for_ever_without_a_word(node: Node) -> None:
    first, second = timelocked(node, deps=[2]), timelocked(node, deps=[1])
    assert ["success"] * 3 == [tick(node) for _ in range(3)]
    assert ("Timelocked", "Timelocked", 0) == (
        state_of(node, first),
        state_of(node, second),
        snapshot(node)["pending_matured"],
    )


def test_fee_pressure_cancels_a_payment_for_good_when_the_minimum_is_one(tmp_path: Path) -> None:
    with fresh_node(tmp_path, min_fee_per_byte=1) as node:
        node.record(ev.HeightSet(120), ev.Funded("treasury", 10_000))
        node.start_executor("manual")
        id_ = timelocked(node)
        node.faults.add("fee_pressure", 1, price=2)
        assert "success" == tick(node)
        status = node.state.records[id_]["disbursement"]["status"]
        assert "fee below minimum (code 10)" == status["RolledBack"]["reason"]
        assert (0, None) == (len(node.state.intents), snapshot(node)["last_error"])
        assert 'treasury_executor_result_total{result="cancelled"} 1' in render(node)
        paid = timelocked(node)
        tick(node)
        assert ("Executed", 540) == (state_of(node, paid), node.state.mempool[0].fee)


def test_five_refusals_open_the_breaker_for_a_minute_and_two_payments_close_it(node: Node) -> None:
    node.faults.add("mempool_full", None)
    timelocked(node)
    assert ["error: mempool full (code 11)"] * 5 == [tick(node) for _ in range(5)]
    assert (1, 5) == tuple(node.metrics.gauges[f"treasury_circuit_breaker_{what}"] for what in ("state", "failures"))
    assert "error: circuit_breaker_open state=Open" == tick(node)
    assert (0, 1) == (snapshot(node)["pending_matured"], snapshot(node)["staged_intents"])
    node.faults.clear()
    assert "success" == tick(node, 60)
    assert 2 == node.metrics.gauges["treasury_circuit_breaker_state"]
    timelocked(node)
    tick(node)
    assert 0 == node.metrics.gauges["treasury_circuit_breaker_state"]
    assert 'treasury_executor_errors_total{reason="mempool full (code 11)"} 5' in render(node)


def test_intents_staged_while_the_mempool_is_full_share_a_nonce_so_only_one_is_ever_paid(node: Node) -> None:
    """The signer counts what the mempool holds, not what is staged, and an intent is never signed again."""
    node.faults.add("mempool_full", None)
    first, second = timelocked(node), timelocked(node)
    tick(node)
    node.faults.clear()
    assert ["error: duplicate transaction (code 6)"] * 2 == [tick(node) for _ in range(2)]
    assert ["Executed", "Timelocked"] == [state_of(node, id_) for id_ in (first, second)]


def test_the_breaker_reopens_on_one_failure_when_half_open() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(100)
    assert not breaker.allows(159) and breaker.allows(160)
    assert Breaker.HALF_OPEN == breaker.state
    breaker.failed(161)
    assert not breaker.allows(220) and breaker.allows(221)
    breaker.succeeded()
    breaker.succeeded()
    assert (Breaker.CLOSED, 0, 0) == (breaker.state, breaker.failures, breaker.successes)


def test_another_holder_is_waited_for_until_its_lease_expires(node: Node) -> None:
    tick(node)
    node.start_executor("manual", "node-b")
    assert "error: lease_held_by node-a" == tick(node, 30)
    assert "node-a" == snapshot(node)["lease_holder"]
    assert "success" == tick(node, 60)
    assert "node-b" == snapshot(node)["lease_holder"]


def test_an_orderly_stop_gives_the_lease_back(node: Node) -> None:
    tick(node)
    node.stop_executor()
    assert {"lease_holder": None, "lease_released": True}.items() <= snapshot(node).items()


def test_a_poisoned_chain_lock_ends_the_thread(node: Node) -> None:
    node.poisoned = True
    assert "ended: blockchain lock poisoned" == tick(node)


def test_the_lag_from_queued_to_executed_is_observed(node: Node) -> None:
    timelocked(node)
    tick(node, 90)
    text = render(node)
    for line in ('le="60"} 0', 'le="120"} 1', 'le="+Inf"} 1'):
        assert f"treasury_disbursement_lag_seconds_bucket{{{line}" in text
    assert 'governance_disbursements_total{status="executed"} 1' in text
    assert 'treasury_disbursement_backlog{status="executed"} 1' in text


CRASHES = {
    "before_stage": ("Timelocked", 0, 0, 1_000_000, "success", "Executed"),
    "after_stage": ("Timelocked", 1, 0, 1_000_000, "success", "Executed"),
    "after_submit": ("Timelocked", 1, 1, 1_000_000, "error: duplicate transaction (code 6)", "Timelocked"),
    "after_mark": ("Executed", 1, 1, 1_000_000, "success", "Executed"),
    "after_event": ("Executed", 1, 1, 999_900, "success", "Executed"),
}


@pytest.mark.parametrize("point", CRASHES)
def test_a_crash_leaves_what_the_node_leaves(point: str, tmp_path: Path) -> None:
    """State, intents, mempool and counter after the kill; then what the next tick says, and the state it leaves."""
    env = {"TB_MIN_FEE_PER_BYTE_CONSUMER": "0"}
    with NodeProcess(tmp_path, env, treasury_balance=1_000_000, clock=NEW_YEAR) as own:
        own.control.call("mock.epoch", {"set": 5})
        own.control.call("mock.fund", {"account": "treasury", "amount": 10_000})
        own.rpc.call("gov.treasury.submit_disbursement", payload())
        for epoch in (1, 2, 3):
            own.rpc.call("gov.treasury.queue_disbursement", {"id": 1, "current_epoch": epoch})
        own.control.call("mock.executor", {"mode": "manual"})
        own.control.call("mock.fault.add", {"fault": point})
        with pytest.raises(Exception, match="nobody answers"):
            own.control.call("mock.tick")
        assert -9 == own.process.wait(5)
    with NodeProcess(tmp_path, env) as own:
        own.control.call("mock.executor", {"mode": "manual"})
        seen = own.rpc.call("gov.treasury.disbursement", {"id": 1})["disbursement"]["disbursement"]["status"]
        mempool, counter = own.rpc.call("mempool.stats")["size"], own.rpc.call("gov.treasury.balance")["balance"]
        own.control.call("mock.clock", {"advance": 1})
        outcome = own.control.call("mock.tick")["outcomes"][0]
        after = own.rpc.call("gov.treasury.disbursement", {"id": 1})["disbursement"]["disbursement"]["status"]
        intents = own.rpc.call("gov.treasury.balance")["executor"]["staged_intents"] + (point == "after_stage")
        assert CRASHES[point] == (next(iter(seen)), intents, mempool, counter, outcome, next(iter(after)))


def test_once_mined_a_payment_that_was_never_marked_stays_a_nonce_gap(node: Node) -> None:
    id_ = timelocked(node)
    node.record(
        ev.IntentStaged(id_, "aa", 1, "tb1qx", 100, 0, node.now()), ev.Admitted("treasury", "aa", 1, "tb1qx", 100, 0, 0)
    )
    node.record(ev.Mined(1))
    assert "error: nonce gap (code 3)" == tick(node)
    assert "Timelocked" == state_of(node, id_)


def test_a_timer_ticks_by_itself_and_its_ticks_are_no_writes(tmp_path: Path) -> None:
    flags = {
        "treasury_executor": True,
        "treasury_key": "k",
        "treasury_executor_id": "node-a",
        "treasury_poll_interval": 1,
    }
    with NodeProcess(tmp_path, treasury_balance=5, **flags) as own:
        first = own.rpc.call("gov.treasury.balance")["executor"]
        assert "node-a" == first["lease_holder"]
        status = own.control.call("mock.status")
        assert ({"alive": True, "ended": None, "identity": "node-a", "mode": "timer"}, 0) == (
            status["executor"],
            status["writes"],
        )
        events = status["events"]
        for _ in range(150):
            if own.control.call("mock.status")["events"] > events:
                break
            time.sleep(0.01)
        assert own.control.call("mock.status")["events"] == events + 2, "a lease and a snapshot"
        assert [] == [e for e in own.control.call("mock.journal")["entries"] if e["changed"]]
