"""What is broken in the treasury, its executor and the governance of disbursements."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from handbook.chain import treasury
from handbook.chain.fault import Fault, nothing
from handbook.chain.lane import Lane, Setup
from handbook.chain.process import wait_until
from handbook.control import Unreachable
from handbook.node import chain

EXECUTOR = ("--treasury-executor", "--treasury-key", "alert-chain", "--treasury-poll-interval", "1")
RICH = ("--treasury-balance", "1000000000")


def _stuck(lane: Lane, made: list[int]) -> None:
    made.append(treasury.timelocked(lane))


def _unstuck(lane: Lane, made: list[int]) -> None:
    for id_ in made:
        treasury.book(lane, id_)


def _silent(lane: Lane, _: None) -> None:
    """Its last tick is 200 s ago, then `light.latest_header` on a chain without blocks ends it, as it does a node's."""
    now = int(time.time())
    lane.mock("clock", set=now - 200)
    wait_until("a tick", lambda: _last_tick(lane) < now - 100)
    with contextlib.suppress(Unreachable):  # the call gets no answer
        lane.rpc("light.latest_header")
    lane.mock("clock", set=int(time.time()))


def _last_tick(lane: Lane) -> int:
    executor = lane.rpc("gov.treasury.balance")["executor"]
    return int(executor["last_tick_at"]) if executor else int(time.time())


def _restart(lane: Lane, _: Any) -> None:
    lane.kill()
    lane.start()


def _late(lane: Lane, _: None) -> None:
    id_ = treasury.submit(lane)
    treasury.step(lane, id_, 1)
    treasury.step(lane, id_, 2)
    lane.mock("clock", advance=600)
    treasury.step(lane, id_, 3)
    treasury.book(lane, id_)


def _paying(lane: Lane) -> None:
    """Payments booked by hand all the time, so that only what the executor does is wrong; coins for its own."""
    lane.mock("epoch", set=1)
    lane.mock("fund", account=chain.TREASURY, amount=1_000_000)
    treasury.pay(lane)
    lane.every(1.0, lambda: treasury.pay(lane))


def _refuse(lane: Lane, _: None) -> None:
    """One failed submission a tick; the fifth opens the breaker."""
    lane.mock("fault.add", fault="mempool_full", times=0)
    treasury.timelocked(lane)


def _accept(lane: Lane, _: None) -> None:
    """And lets the breaker's minute pass on the node's clock."""
    lane.mock("fault.clear")
    lane.mock("clock", advance=61)


def _failed_once(lane: Lane) -> None:
    """As `_paying`; one refusal is behind the executor, so that its counter is there."""
    _paying(lane)
    lane.mock("fault.add", fault="mempool_full", times=1)
    id_ = treasury.timelocked(lane)
    wait_until("a payment after a refusal", lambda: treasury.status(lane, id_) == "Executed")


def _wait_for_vote(lane: Lane) -> Any:
    """A vote that was opened before anybody looked: kept in a file, and the node is empty until then."""
    id_ = treasury.submit(lane)
    treasury.step(lane, id_, 1)
    path = lane.mock("dump", path="vote.state")["path"]
    lane.mock("reset", treasury_balance=1_000_000)
    return path, id_


def _vote(lane: Lane, made: Any) -> None:
    lane.mock("load", path=made[0])


def _close_vote(lane: Lane, made: Any) -> None:
    treasury.step(lane, made[1], 2)


def _roll_back(lane: Lane, made: None) -> None:
    treasury.cancel(lane, treasury.submit(lane))


def _short(lane: Lane, _: None) -> None:
    treasury.submit(lane)


def _fund(lane: Lane, _: None) -> None:
    lane.mock("fund", counter=1_000_000)


FAULTS: tuple[Fault[Any], ...] = (
    Fault(
        "TreasuryDisbursementStuck",
        "a disbursement is due and no executor runs",
        'treasury_disbursement_backlog{status="timelocked", $node} > 0',
        _stuck,
        _unstuck,
        prepare=lambda lane: [],
        setup=Setup(RICH),
    ),
    Fault(
        "TreasuryExecutorSilent",
        "the executor ended 200 s ago",
        "time() - treasury_executor_last_tick_seconds{$node} > 120",
        _silent,
        _restart,
        setup=Setup((*RICH, *EXECUTOR)),
    ),
    Fault(
        "TreasuryDisbursementLagHigh",
        "a disbursement is paid 600 s after it was queued",
        "treasury_disbursement_lag_seconds_sum{$node} >= 600",
        _late,
        nothing,
        setup=Setup(RICH),
    ),
    Fault(
        "TreasuryCircuitBreakerOpen",
        "the mempool refuses a payment in five ticks",
        "treasury_circuit_breaker_state{$node} == 1",
        _refuse,
        _accept,
        prepare=_paying,
        setup=Setup((*RICH, *EXECUTOR)),
        also=frozenset({"TreasuryExecutorErrors"}),
        mock=frozenset({"mempool_full"}),
    ),
    Fault(
        "TreasuryExecutorErrors",
        "the mempool refuses a payment in five ticks",
        'treasury_executor_result_total{result="error", $node} > 4',
        _refuse,
        _accept,
        prepare=_failed_once,
        setup=Setup((*RICH, *EXECUTOR)),
        also=frozenset({"TreasuryCircuitBreakerOpen"}),
        mock=frozenset({"mempool_full"}),
    ),
    Fault(
        "GovernanceDisbursementsWaiting",
        "a vote was opened and nobody goes on",
        'treasury_disbursement_backlog{status="voting", $node} == 1',
        _vote,
        _close_vote,
        prepare=_wait_for_vote,
        setup=Setup(RICH),
    ),
    Fault(
        "GovernanceRollback",
        "a disbursement is rolled back",
        'governance_disbursements_total{status="rolled_back", $node} == 1',
        _roll_back,
        nothing,
        setup=Setup(RICH),
    ),
    Fault(
        "TreasuryCounterShort",
        "a disbursement is open and the counter holds 5000",
        'treasury_disbursement_backlog{status="draft", $node} == 1',
        _short,
        _fund,
        setup=Setup(("--treasury-balance", "5000")),
    ),
)
