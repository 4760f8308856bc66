"""What is broken for each alert, how it shows in a metric, and how it is mended.

Each fault has a node or a host of its own. Thresholds are the shipped ones: where one is a time, the node's clock or a
file's date is moved. A fault that raises other alerts on its node, as it would anywhere, names them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from handbook.chain import treasury
from handbook.chain.host import Host
from handbook.chain.lane import Lane, Setup
from handbook.chain.process import wait_until
from handbook.control import Unreachable
from handbook.node import chain

L = TypeVar("L", Lane, Host)
EXECUTOR = ("--treasury-executor", "--treasury-key", "alert-chain", "--treasury-poll-interval", "1")
RICH = ("--treasury-balance", "1000000000")
FAST = {f"TB_RPC_ENERGY_{name}_TOKENS_PER_SEC": "1000" for name in ("READ", "SUBMIT", "SETTLE", "DISPUTE")}
PACE = 1.1
"""Seconds between readings: their timestamps are whole seconds and must differ."""


@dataclass(frozen=True)
class Fault(Generic[L]):
    """`shows` is PromQL with `$node` for the lane's label; it has a result once the fault is in the metrics.

    `prepare` makes the healthy state and may return what the other two need. `also` are the alerts that the fault may
    raise beside its own; `mock` the mock node's faults that it uses.
    """

    alert: str
    what: str
    shows: str
    inject: Callable[[L, Any], None]
    mend: Callable[[L, Any], None]
    prepare: Callable[[L], Any] = lambda lane: None
    setup: Setup | None = field(default_factory=Setup)
    """None for a fault of a host."""
    also: frozenset[str] = frozenset()
    mock: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    """Receivers, where they do not follow from the severity."""


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


def _short(lane: Lane, _: None) -> None:
    treasury.submit(lane)


def _fund(lane: Lane, _: None) -> None:
    lane.mock("fund", counter=1_000_000)


def _kill(lane: Lane, _: None) -> None:
    lane.kill()


def _start(lane: Lane, _: None) -> None:
    lane.start()


def _unset(lane: Lane, _: None) -> None:
    lane.mock("fault.add", fault="metrics_unset")


def _clear(lane: Lane, _: None) -> None:
    lane.mock("fault.clear")


TREASURY: tuple[Fault[Any], ...] = (
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
        lambda lane, made: None,
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
        mock=frozenset({"mempool_full"}),
    ),
    Fault(
        "TreasuryCounterShort",
        "a disbursement is open and the counter holds 5000",
        "treasury_balance{$node} < 10000",
        _short,
        _fund,
        setup=Setup(("--treasury-balance", "5000")),
    ),
)
NODE: tuple[Fault[Any], ...] = (
    Fault(
        "NodeMetricsMissing",
        "the node is killed",
        "up{$node} == 0",
        _kill,
        _start,
    ),
    Fault(
        "TreasurySeriesMissing",
        "the node exports no treasury_balance",
        "up{$node} == 1 unless treasury_balance{$node}",
        _unset,
        _clear,
        mock=frozenset({"metrics_unset"}),
    ),
)
FAULTS: tuple[Fault[Any], ...] = (*TREASURY, *NODE)
ALWAYS = frozenset({"Watchdog"})
"""Alerts that nothing raises: they fire while the way to the people is open."""
