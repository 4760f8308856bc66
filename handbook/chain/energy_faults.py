"""What is broken in the energy market and with its oracles. A meter sends a reading a second while nothing is."""

from __future__ import annotations

import contextlib
from typing import Any

from handbook.chain.fault import Fault, nothing
from handbook.chain.lane import Flow, Lane, Setup
from handbook.chain.market import UNKNOWN, Meter
from handbook.control import Refused

SETUP = Setup(
    environment={f"TB_RPC_ENERGY_{name}_TOKENS_PER_SEC": "1000" for name in ("READ", "SUBMIT", "SETTLE", "DISPUTE")}
)
PACE = 1.1
"""Seconds between readings: their timestamps are whole seconds and must differ."""


class Site:
    """A meter that sends, and what a fault adds to it."""

    def __init__(self, lane: Lane) -> None:
        self.meter = Meter(lane)
        self.credit = self.meter.read()
        self.sending = lane.every(PACE, self.meter.read)
        self.added: Flow | None = None
        self.dispute = 0

    def stop_added(self) -> None:
        if self.added:
            self.added.stop()


def _forge(lane: Lane, site: Site) -> None:
    def forged() -> None:
        with contextlib.suppress(Refused):
            site.meter.read(forged=True)

    site.added = lane.every(0.2, forged)


def _stop_added(lane: Lane, site: Site) -> None:
    site.stop_added()


def _quorum(lane: Lane, site: Site) -> None:
    lane.mock("energy", quorum_threshold_ppm=1_000_000)
    with contextlib.suppress(Refused):
        site.meter.settle(site.credit)


def _no_quorum(lane: Lane, site: Site) -> None:
    lane.mock("energy", quorum_threshold_ppm=0)


def _conflict(lane: Lane, site: Site) -> None:
    with contextlib.suppress(Refused):
        site.meter.settle(UNKNOWN)


def _dispute(lane: Lane, site: Site) -> None:
    answer = lane.rpc("energy.flag_dispute", meter_hash=site.credit, reason="rehearsal", reporter="alert-chain")
    site.dispute = answer["id"]


def _resolve(lane: Lane, site: Site) -> None:
    lane.rpc("energy.resolve_dispute", dispute_id=site.dispute, resolver="alert-chain")


def _late(lane: Lane, site: Site) -> None:
    meter = Meter(lane, "meter-2")
    meter.late = 100
    site.added = lane.every(PACE, meter.read)


def _fall_silent(lane: Lane, site: Site) -> None:
    site.sending.stop()


def _send_again(lane: Lane, site: Site) -> None:
    lane.every(PACE, site.meter.read)


FAULTS: tuple[Fault[Any], ...] = (
    Fault(
        "EnergyReadingsRejected",
        "forged readings arrive beside the good ones",
        'energy_reading_reject_total{reason="bad_signature", $node} > 4',
        _forge,
        _stop_added,
        Site,
        SETUP,
    ),
    Fault(
        "EnergyQuorumShortfall",
        "a settlement falls short of the quorum",
        "energy_quorum_shortfall_total{$node} > 0",
        _quorum,
        _no_quorum,
        Site,
        SETUP,
    ),
    Fault(
        "EnergySlashing",
        "a reading is settled that nobody sent",
        'energy_slashing_total{reason="conflict", $node} > 0',
        _conflict,
        nothing,
        Site,
        SETUP,
    ),
    Fault(
        "EnergyDisputesOpen",
        "a reading is disputed",
        "energy_active_disputes_total{$node} == 1",
        _dispute,
        _resolve,
        Site,
        SETUP,
    ),
    Fault(
        "OracleLatencyHigh",
        "a second meter's readings are 100 s old",
        "oracle_latency_seconds_sum{$node} > 100",
        _late,
        _stop_added,
        Site,
        SETUP,
    ),
    Fault(
        "OracleSilent",
        "the meter stops sending",
        "energy_provider_total{$node} > 0 unless increase(energy_readings_total{$node}[5s]) > 0",
        _fall_silent,
        _send_again,
        Site,
        SETUP,
    ),
)
