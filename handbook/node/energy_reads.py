"""The methods that show the energy market, page by page."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from handbook.node.energy_params import Params, maybe_text, maybe_whole, meter_hash
from handbook.node.failure import RpcError
from handbook.node.node import Node

PAGE_SIZE = 25
MAX_PAGE_SIZE = 250


def market_state(node: Node, params: Params) -> Params:
    state, id_ = node.state.energy, maybe_text(params, "provider_id")
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
    found = _of(node.state.energy.receipts, "seller", maybe_text(params, "provider_id"))
    return _page("receipts", _newest(found, "block_settled"), params)


def credits(node: Node, params: Params) -> Params:
    found = _of(_by_key(node.state.energy.credits), "provider", maybe_text(params, "provider_id"))
    return _page("credits", _newest(found, "timestamp"), params)


def slashes(node: Node, params: Params) -> Params:
    found = _of(node.state.energy.slashes, "provider_id", maybe_text(params, "provider_id"))
    return _page("slashes", _newest(found, "block_height"), params)


def disputes(node: Node, params: Params) -> Params:
    found = _of(node.state.energy.disputes.values(), "provider_id", maybe_text(params, "provider_id"))
    if (status := maybe_text(params, "status")) is not None:
        if status not in ("open", "resolved"):
            raise RpcError(-32602, "invalid dispute status (expected 'open' or 'resolved')")
        found = _of(found, "status", status)
    if maybe_text(params, "meter_hash") is not None:
        found = _of(found, "meter_hash", meter_hash(params))
    return _page("disputes", found, params)


def _by_key(objects: dict[str, Params]) -> list[Params]:
    return [objects[key] for key in sorted(objects)]


def _of(objects: Iterable[Params], member: str, value: str | None) -> list[Params]:
    return [found for found in objects if value is None or found[member] == value]


def _newest(objects: list[Params], member: str) -> list[Params]:
    return sorted(objects, key=lambda found: -int(found[member]))


def _page(name: str, objects: list[Params], params: Params) -> Params:
    page, size = maybe_whole(params, "page") or 0, maybe_whole(params, "page_size")
    size = min(max(PAGE_SIZE if size is None else size, 1), MAX_PAGE_SIZE)
    shown = objects[page * size : page * size + size]
    return dict(sorted({name: shown, "page": page, "page_size": size, "status": "ok", "total": len(objects)}.items()))
