"""The energy market's part of the state. Objects are kept in the wire's own shape and never changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from handbook.node import events as ev

MAX_PROVIDERS = 4096
MAX_CREDITS = 16_384
MAX_RECEIPTS = MAX_SLASHES = MAX_DISPUTES = 4096
MAX_PROPOSALS = 1024
"""The node keeps all of them; the mock drops the oldest, and refuses a provider past its limit."""


class Rules(msgspec.Struct, frozen=True):
    """What governance would set. `quorum_threshold_ppm` is a share of one provider's capacity."""

    mode: str = "real_time"
    quorum_threshold_ppm: int = 0
    expiry_blocks: int = 0
    oracle_timeout_blocks: int = 0
    min_stake: int = 1000
    slashing_rate_bps: int = 0

    @property
    def timeout(self) -> int:
        """The age in blocks past which a credit cannot be settled; 0 for none."""
        return self.expiry_blocks or self.oracle_timeout_blocks


class Meter(msgspec.Struct, frozen=True):
    """The last accepted reading of a provider."""

    total_kwh: int
    timestamp: int
    nonce: int


class Market(msgspec.Struct):
    """Receipts and slashes are those that no block has taken yet."""

    rules: Rules = Rules()
    providers: dict[str, dict[str, Any]] = {}
    registered: int = 0
    meters: dict[str, Meter] = {}
    keys: dict[str, str] = {}
    credits: dict[str, dict[str, Any]] = {}
    receipts: list[dict[str, Any]] = []
    slashes: list[dict[str, Any]] = []
    disputes: dict[int, dict[str, Any]] = {}
    last_dispute: int = 0
    proposals: dict[int, dict[str, Any]] = {}
    last_proposal: int = 0


def drain(market: Market) -> None:
    """A block was mined: it takes the receipts and slashes along."""
    market.receipts, market.slashes = [], []


def _rules(market: Market, event: ev.EnergyRulesSet) -> None:
    market.rules = msgspec.convert(event.rules, Rules)


def _keys(market: Market, event: ev.ProviderKeysSet) -> None:
    market.keys = dict(event.keys)


def _provider(market: Market, event: ev.ProviderSet) -> None:
    id_ = event.provider["provider_id"]
    if id_ not in market.providers:
        market.registered += 1
    market.providers[id_] = event.provider


def _reading(market: Market, event: ev.ReadingAccepted) -> None:
    credit = event.credit
    market.meters[credit["provider"]] = Meter(event.total_kwh, event.timestamp, event.nonce)
    market.credits[credit["meter_hash"]] = credit
    if len(market.credits) > MAX_CREDITS:
        del market.credits[next(iter(market.credits))]


def _settled(market: Market, event: ev.Settled) -> None:
    receipt = event.receipt
    kwh, hash_ = receipt["kwh_delivered"], receipt["meter_hash"]
    credit, provider = market.credits[hash_], market.providers[receipt["seller"]]
    if left := credit["amount_kwh"] - kwh:
        market.credits[hash_] = {**credit, "amount_kwh": left}
    else:
        del market.credits[hash_]
    market.providers[receipt["seller"]] = {
        **provider,
        "available_kwh": provider["available_kwh"] - kwh,
        "staked_balance": max(provider["staked_balance"] - receipt["slash_applied"], 0),
        "total_delivered_kwh": provider["total_delivered_kwh"] + kwh,
    }
    market.receipts.append(receipt)
    del market.receipts[:-MAX_RECEIPTS]


def _slashed(market: Market, event: ev.Slashed) -> None:
    market.slashes.append(event.slash)
    del market.slashes[:-MAX_SLASHES]


def _dispute(market: Market, event: ev.DisputeSet) -> None:
    id_ = event.dispute["id"]
    market.disputes[id_] = event.dispute
    market.last_dispute = max(market.last_dispute, id_)
    market.disputes.pop(id_ - MAX_DISPUTES, None)


def _proposed(market: Market, event: ev.SettlementProposed) -> None:
    market.proposals[event.id] = event.body
    market.last_proposal = event.id
    market.proposals.pop(event.id - MAX_PROPOSALS, None)


def _lost(market: Market, event: ev.MarketLost) -> None:
    market.providers, market.meters, market.keys, market.credits, market.registered = {}, {}, {}, {}, 0


APPLY: dict[type, Callable[[Market, Any], None]] = {
    ev.EnergyRulesSet: _rules,
    ev.ProviderKeysSet: _keys,
    ev.ProviderSet: _provider,
    ev.ReadingAccepted: _reading,
    ev.Settled: _settled,
    ev.Slashed: _slashed,
    ev.DisputeSet: _dispute,
    ev.SettlementProposed: _proposed,
    ev.MarketLost: _lost,
}
