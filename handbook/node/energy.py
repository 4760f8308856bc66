"""The methods that trade on the energy market, and the table of all its methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import energy_reads as reads
from handbook.node import events as ev
from handbook.node import market
from handbook.node.energy_params import HEX, Params, maybe_text, maybe_whole, meter_hash, text, whole
from handbook.node.failure import RpcError
from handbook.node.node import Node
from handbook.node.readings import Reading

REJECTIONS = {
    market.SKEW: "stale_timestamp",
    market.NONCE: "invalid_reading",
    market.SIGNATURE: "bad_signature",
    market.PROVIDER: "other",
}


def register_provider(node: Node, params: Params) -> Params:
    capacity, price, stake = (whole(params, name) for name in ("capacity_kwh", "price_per_kwh", "stake"))
    meter, law = text(params, "meter_address"), text(params, "jurisdiction")
    owner = maybe_text(params, "owner")
    owner = "anonymous" if owner is None else owner
    event = market.register(node.state.energy, owner, capacity, price, stake, meter, law)
    node.record(event)
    node.metrics.add("energy_provider_register_total")
    return event.provider


def update_provider(node: Node, params: Params) -> Params:
    id_ = text(params, "provider_id")
    capacity, price = maybe_whole(params, "capacity_kwh"), maybe_whole(params, "price_per_kwh")
    law = maybe_text(params, "jurisdiction")
    if capacity is None and price is None and law is None:
        raise RpcError(-32602, "provide at least one of capacity_kwh, price_per_kwh, or jurisdiction")
    event = market.update(node.state.energy, id_, capacity, price, law)
    node.record(event)
    return event.provider


def submit_reading(node: Node, params: Params) -> Params:
    id_, meter = text(params, "provider_id"), text(params, "meter_address")
    total, timestamp, nonce = (whole(params, name) for name in ("kwh_reading", "timestamp", "nonce"))
    signature = text(params, "signature")
    if not HEX.fullmatch(signature):
        raise RpcError(-32602, "signature must be hex encoded")
    if len(signature) != 128:
        raise RpcError(-32602, "signature must be 64 bytes")
    reading = Reading(id_, meter, total, timestamp, nonce, bytes.fromhex(signature))
    now, metrics = node.now(), node.metrics
    try:
        event = market.accept(node.state.energy, reading, node.state.height, now)
    except RpcError as error:
        regressed = error.code == market.READING and "timestamp" in str(error)
        reason = "stale_timestamp" if regressed else REJECTIONS.get(error.code, "invalid_reading")
        for family in ("energy_reading_reject_total", "oracle_submission_errors_total"):
            metrics.add(family, reason)
        raise
    node.record(event)
    metrics.add("energy_readings_total")
    metrics.add("energy_meter_reading_total", id_)
    if now >= timestamp:
        metrics.observe("oracle_latency_seconds", now - timestamp)
    return event.credit


def settle(node: Node, params: Params) -> Params:
    """A refusal may leave a slash behind, so an error answer may rest on a change."""
    id_, buyer = text(params, "provider_id"), maybe_text(params, "buyer")
    kwh, hash_ = whole(params, "kwh_consumed"), meter_hash(params)
    buyer = "anonymous" if buyer is None else buyer
    metrics = node.metrics
    try:
        events = market.settle(node.state, buyer, id_, kwh, hash_, node.now())
    except market.FailedSettlement as failed:
        node.record(*failed.events)
        if failed.slash == "quorum":
            metrics.add("energy_quorum_shortfall_total", id_)
        metrics.add("energy_slashing_total", _slashed(failed.events), failed.slash)
        _accrued(node, failed.events)
        raise
    node.record(*events)
    metrics.add("energy_settlement_total", id_)
    _accrued(node, events)
    return next(event.receipt for event in events if isinstance(event, ev.Settled))


def flag_dispute(node: Node, params: Params) -> Params:
    hash_, reason, reporter = meter_hash(params), text(params, "reason"), maybe_text(params, "reporter")
    reporter = "anonymous" if reporter is None else reporter
    event = market.flag(node.state.energy, hash_, reason, reporter, node.state.height)
    node.record(event)
    node.metrics.add("energy_dispute_open_total")
    node.metrics.add("energy_dispute_total", "open")
    return event.dispute


def resolve_dispute(node: Node, params: Params) -> Params:
    id_, resolver = whole(params, "dispute_id"), maybe_text(params, "resolver")
    resolver, note = "system" if resolver is None else resolver, maybe_text(params, "resolution_note")
    event = market.resolve(node.state.energy, id_, resolver, note, node.state.height)
    node.record(event)
    node.metrics.add("energy_dispute_resolve_total")
    node.metrics.add("energy_dispute_total", "resolved")
    return event.dispute


def _slashed(events: list[ev.Event]) -> str:
    return next(str(event.slash["provider_id"]) for event in events if isinstance(event, ev.Slashed))


def _accrued(node: Node, events: list[ev.Event]) -> None:
    for event in events:
        if isinstance(event, ev.BalanceMoved):
            node.metrics.add("energy_treasury_fee_total", by=event.delta)


def _object(handler: Callable[[Node, Params], Params], lenient: bool = False) -> Callable[[Node, Any], Params]:
    def checked(node: Node, params: Any) -> Params:
        if params is None and lenient:
            params = {}
        if not isinstance(params, dict):
            raise RpcError(-32602, "parameters must be an object")
        return handler(node, params)

    return checked


def _trade(name: str, handler: Callable[[Node, Params], Params]) -> Callable[[Node, Any], Params]:
    """Refused in rehearsal, before the params are looked at."""
    inner = _object(handler)

    def guarded(node: Node, params: Any) -> Params:
        if node.deviates("energy_rehearsal"):
            raise RpcError(-33020, f"{name} blocked: energy market in rehearsal")
        return inner(node, params)

    return guarded


_TRADES = {
    "energy.flag_dispute": flag_dispute,
    "energy.register_provider": register_provider,
    "energy.resolve_dispute": resolve_dispute,
    "energy.settle": settle,
    "energy.submit_reading": submit_reading,
    "energy.update_provider": update_provider,
}
METHODS: dict[str, Callable[[Node, Any], Any]] = {
    "energy.credits": _object(reads.credits),
    "energy.disputes": _object(reads.disputes),
    "energy.market_state": _object(reads.market_state, lenient=True),
    "energy.receipts": _object(reads.receipts),
    "energy.slashes": _object(reads.slashes),
    **{name: _trade(name, handler) for name, handler in _TRADES.items()},
}
ABSENT_PARAMS_SEEN = frozenset(METHODS)
"""To these, params that are left out or null are not an empty object."""
