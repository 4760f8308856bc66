"""The energy methods, the two of settlement proposals, and `config.reload`, which reads the providers' keys.

Params are read as the node reads them: member by member, the first that is wrong is named. Optional members that do
not fit count as absent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from handbook.node import events as ev
from handbook.node import market
from handbook.node.failure import RpcError, invalid_params
from handbook.node.market_state import MAX_PROVIDERS
from handbook.node.node import Node
from handbook.node.readings import Reading

Params = dict[str, Any]
PAGE_SIZE = 25
MAX_PAGE_SIZE = 250
MAX_PPM = 1_000_000
MODES = {"batch": "batch", "real_time": "real_time", "realtime": "real_time", "real-time": "real_time"}
REJECTIONS = {
    market.SKEW: "stale_timestamp",
    market.NONCE: "invalid_reading",
    market.SIGNATURE: "bad_signature",
    market.PROVIDER: "other",
}
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def register_provider(node: Node, params: Params) -> Params:
    capacity, price, stake = (_whole(params, name) for name in ("capacity_kwh", "price_per_kwh", "stake"))
    meter, law = _text(params, "meter_address"), _text(params, "jurisdiction")
    owner = _maybe_text(params, "owner")
    owner = "anonymous" if owner is None else owner
    event = market.register(node.state.energy, owner, capacity, price, stake, meter, law)
    node.record(event)
    node.metrics.add("energy_provider_register_total")
    return event.provider


def update_provider(node: Node, params: Params) -> Params:
    id_ = _text(params, "provider_id")
    capacity, price = _maybe_whole(params, "capacity_kwh"), _maybe_whole(params, "price_per_kwh")
    law = _maybe_text(params, "jurisdiction")
    if capacity is None and price is None and law is None:
        raise RpcError(-32602, "provide at least one of capacity_kwh, price_per_kwh, or jurisdiction")
    event = market.update(node.state.energy, id_, capacity, price, law)
    node.record(event)
    return event.provider


def market_state(node: Node, params: Params) -> Params:
    state, id_ = node.state.energy, _maybe_text(params, "provider_id")
    rules = msgspec.to_builtins(state.rules)
    del rules["slashing_rate_bps"]
    return {
        "credits": _of(_by_key(state.credits), "provider", id_),
        "disputes": _of(state.disputes.values(), "provider_id", id_),
        "governance": dict(sorted(rules.items())),
        "providers": _of(_by_key(state.providers), "provider_id", id_),
        "receipts": _of(state.receipts, "seller", id_),
        "status": "ok",
    }


def receipts(node: Node, params: Params) -> Params:
    found = _of(node.state.energy.receipts, "seller", _maybe_text(params, "provider_id"))
    return _page("receipts", _newest(found, "block_settled"), params)


def credits(node: Node, params: Params) -> Params:
    found = _of(_by_key(node.state.energy.credits), "provider", _maybe_text(params, "provider_id"))
    return _page("credits", _newest(found, "timestamp"), params)


def slashes(node: Node, params: Params) -> Params:
    found = _of(node.state.energy.slashes, "provider_id", _maybe_text(params, "provider_id"))
    return _page("slashes", _newest(found, "block_height"), params)


def disputes(node: Node, params: Params) -> Params:
    found = _of(node.state.energy.disputes.values(), "provider_id", _maybe_text(params, "provider_id"))
    if (status := _maybe_text(params, "status")) is not None:
        if status not in ("open", "resolved"):
            raise RpcError(-32602, "invalid dispute status (expected 'open' or 'resolved')")
        found = _of(found, "status", status)
    if _maybe_text(params, "meter_hash") is not None:
        found = _of(found, "meter_hash", _hash(params))
    return _page("disputes", found, params)


def submit_reading(node: Node, params: Params) -> Params:
    id_, meter = _text(params, "provider_id"), _text(params, "meter_address")
    total, timestamp, nonce = (_whole(params, name) for name in ("kwh_reading", "timestamp", "nonce"))
    signature = _text(params, "signature")
    if not _HEX.fullmatch(signature):
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
    id_, buyer = _text(params, "provider_id"), _maybe_text(params, "buyer")
    kwh, hash_ = _whole(params, "kwh_consumed"), _hash(params)
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
    hash_, reason, reporter = _hash(params), _text(params, "reason"), _maybe_text(params, "reporter")
    reporter = "anonymous" if reporter is None else reporter
    event = market.flag(node.state.energy, hash_, reason, reporter, node.state.height)
    node.record(event)
    node.metrics.add("energy_dispute_open_total")
    node.metrics.add("energy_dispute_total", "open")
    return event.dispute


def resolve_dispute(node: Node, params: Params) -> Params:
    id_, resolver = _whole(params, "dispute_id"), _maybe_text(params, "resolver")
    resolver, note = "system" if resolver is None else resolver, _maybe_text(params, "resolution_note")
    event = market.resolve(node.state.energy, id_, resolver, note, node.state.height)
    node.record(event)
    node.metrics.add("energy_dispute_resolve_total")
    node.metrics.add("energy_dispute_total", "resolved")
    return event.dispute


def energy_settlement(node: Node, params: Any) -> Params:
    """Stores a proposal. Nothing activates it: on the node, activation has no caller."""
    if not isinstance(params, dict):
        raise invalid_params()
    numbers = {"activation_epoch": 0, "current_epoch": 0, "expiry_blocks": 0, "quorum_threshold_ppm": 0}
    body = {name: _number(params, name, default) for name, default in numbers.items()}
    body["rollback_window_epochs"] = rollback = _number(params, "rollback_window_epochs", 1)
    given = params.get("deps", [])
    deps = [_u64(dep) for dep in given] if isinstance(given, list) else [None]
    texts = {"memo": params.get("memo", ""), "mode": params.get("mode"), "proposer": params.get("proposer")}
    if None in deps or not all(isinstance(text, str) for text in texts.values()):
        raise invalid_params()
    if body["quorum_threshold_ppm"] > 2**32 - 1:
        raise invalid_params()
    mode = MODES.get(texts["mode"].lower())
    if mode is None:
        raise RpcError(-32071, f"unknown energy settlement mode: {texts['mode']}")
    if not rollback or body["quorum_threshold_ppm"] > MAX_PPM:
        raise RpcError(-32072, "energy settlement submission failed")
    id_ = node.state.energy.last_proposal + 1
    node.record(ev.SettlementProposed(id_, {**body, **texts, "deps": deps, "mode": mode}))
    return {"id": id_}


def energy_settlement_history(node: Node, params: Any) -> list[Any]:
    """Empty: nothing activates a proposal."""
    return []


def config_reload(node: Node, params: Any) -> Params:
    """Reads `<data-dir>/default.toml`; a file that is not there is an empty one.

    The keys of before are gone; those after the first bad entry are not read.
    """
    try:
        text = (node.config.data_dir / "default.toml").read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, ValueError):
        return {"reloaded": False}
    try:
        entries = _key_entries(tomllib.loads(text))
    except ValueError:
        return {"reloaded": False}
    keys: dict[str, str] = {}
    for id_, key in entries:
        key = key.strip().lower()
        if len(key) != 64 or not _HEX.fullmatch(key) or len(keys) == MAX_PROVIDERS:
            break
        keys[id_] = key
    if keys != node.state.energy.keys:
        node.record(ev.ProviderKeysSet(keys))
    return {"reloaded": True}


def _key_entries(document: Params) -> list[tuple[str, str]]:
    section = document.get("energy", {})
    listed = section.get("provider_keys", []) if isinstance(section, dict) else None
    if not isinstance(listed, list):
        raise ValueError("energy.provider_keys: expected a list of tables")
    found: list[tuple[str, str]] = []
    for entry in listed:
        pair = (entry.get("provider_id"), entry.get("public_key_hex")) if isinstance(entry, dict) else (None, None)
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise ValueError("energy.provider_keys: expected provider_id and public_key_hex, both strings")
        found.append((pair[0], pair[1]))
    return found


def _u64(value: Any) -> int | None:
    """5.0 is 5; None for what the node does not read as a number of its own."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= market.U64_MAX else None


def _number(params: Params, name: str, default: int) -> int:
    value = _u64(params.get(name, default))
    if value is None:
        raise invalid_params()
    return value


def _missing(name: str) -> RpcError:
    return RpcError(-32602, f"missing or invalid '{name}'")


def _whole(params: Params, name: str) -> int:
    value = _u64(params.get(name))
    if value is None:
        raise _missing(name)
    return value


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise _missing(name)
    return value


def _maybe_whole(params: Params, name: str) -> int | None:
    return _u64(params.get(name))


def _maybe_text(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value if isinstance(value, str) else None


def _hash(params: Params) -> str:
    text = _text(params, "meter_hash")
    if not _HEX.fullmatch(text):
        raise RpcError(-32602, "meter hash must be hex-encoded 32 bytes")
    if len(text) != 64:
        raise RpcError(-32602, "meter hash must be 32 bytes")
    return text.lower()


def _by_key(objects: dict[str, Params]) -> list[Params]:
    return [objects[key] for key in sorted(objects)]


def _of(objects: Iterable[Params], member: str, value: str | None) -> list[Params]:
    return [found for found in objects if value is None or found[member] == value]


def _newest(objects: list[Params], member: str) -> list[Params]:
    return sorted(objects, key=lambda found: -int(found[member]))


def _page(name: str, objects: list[Params], params: Params) -> Params:
    page, size = _maybe_whole(params, "page") or 0, _maybe_whole(params, "page_size")
    size = min(max(PAGE_SIZE if size is None else size, 1), MAX_PAGE_SIZE)
    shown = objects[page * size : page * size + size]
    return dict(sorted({name: shown, "page": page, "page_size": size, "status": "ok", "total": len(objects)}.items()))


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
    "config.reload": config_reload,
    "energy.credits": _object(credits),
    "energy.disputes": _object(disputes),
    "energy.market_state": _object(market_state, lenient=True),
    "energy.receipts": _object(receipts),
    "energy.slashes": _object(slashes),
    "gov.energy_settlement": energy_settlement,
    "gov.energy_settlement_history": energy_settlement_history,
    **{name: _trade(name, handler) for name, handler in _TRADES.items()},
}
ABSENT_PARAMS_SEEN = frozenset(name for name in METHODS if name.startswith("energy."))
"""To these, params that are left out or null are not an empty object."""
