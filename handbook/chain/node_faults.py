"""What is broken in a node's process, its metrics and its RPC."""

from __future__ import annotations

import contextlib
from typing import Any

from handbook.chain.fault import Fault, nothing
from handbook.chain.lane import Flow, Lane, Setup
from handbook.control import Refused

TOKENS = 20
LIMITED = Setup(environment={"TB_RPC_TOKENS_PER_SEC": str(TOKENS), "TB_RPC_BAN_SECS": "2"})


def _kill(lane: Lane, _: None) -> None:
    lane.kill()


def _start(lane: Lane, _: None) -> None:
    lane.start()


def _unset(lane: Lane, _: None) -> None:
    lane.mock("fault.add", fault="metrics_unset")
    lane.rpc("metrics")  # a scrape is no call: this one is journalled with the fault that it met


def _clear(lane: Lane, _: None) -> None:
    lane.mock("fault.clear")


def _burst(lane: Lane, _: Any) -> None:
    """Calls from one address until its bucket is empty."""
    with contextlib.suppress(Refused):
        while True:
            lane.rpc("consensus.difficulty")


def _hammer(lane: Lane, made: list[Flow]) -> None:
    def calls() -> None:
        for _call in range(TOKENS // 4):
            with contextlib.suppress(Refused):
                lane.rpc("consensus.difficulty")

    made.append(lane.every(0.05, calls))


def _stop(lane: Lane, made: list[Flow]) -> None:
    made.pop().stop()


def _slow(lane: Lane, _: Any) -> None:
    assert lane.middleman
    lane.middleman.delay = 0.6


def _fast(lane: Lane, _: Any) -> None:
    assert lane.middleman
    lane.middleman.delay = 0.0


def _many(lane: Lane, _: Any) -> None:
    """One series per provider, as on a node, which does not bound them."""
    assert lane.middleman
    lane.middleman.extra = "".join(f'energy_settlement_total{{provider="energy-0x{n:08x}"}} 1\n' for n in range(4200))


def _few(lane: Lane, _: Any) -> None:
    assert lane.middleman
    lane.middleman.extra = ""


FAULTS: tuple[Fault[Any], ...] = (
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
    Fault(
        "RpcClientBanned",
        "one address calls until its bucket is empty",
        "rpc_bans_total{$node} > 0",
        _burst,
        nothing,
        setup=LIMITED,
        also=frozenset({"RpcRateLimited"}),
    ),
    Fault(
        "RpcRateLimited",
        "one address goes on calling while it is banned",
        "rpc_rate_limit_reject_total{$node} > 10",
        _hammer,
        _stop,
        prepare=lambda lane: [],
        setup=LIMITED,
        also=frozenset({"RpcClientBanned"}),
    ),
    Fault(
        "NodeScrapeSlow",
        "the metrics take 0.6 s, of a squeezed time-out of 0.8 s",
        "scrape_duration_seconds{$node} > 0.56",
        _slow,
        _fast,
        setup=Setup(middleman=True),
    ),
    Fault(
        "NodeSeriesNearLimit",
        "4200 providers have a series each",
        "scrape_samples_scraped{$node} > 4000",
        _many,
        _few,
        setup=Setup(middleman=True),
    ),
)
