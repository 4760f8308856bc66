"""Proposals to change how the energy market settles. They are stored, and that is all that becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import events as ev
from handbook.node.energy_params import Params, number, u64
from handbook.node.failure import RpcError, invalid_params
from handbook.node.node import Node

MAX_PPM = 1_000_000
MODES = {"batch": "batch", "real_time": "real_time", "realtime": "real_time", "real-time": "real_time"}


def propose(node: Node, params: Any) -> Params:
    """Stores a proposal. Nothing activates it: on the node, activation has no caller."""
    if not isinstance(params, dict):
        raise invalid_params()
    numbers = {"activation_epoch": 0, "current_epoch": 0, "expiry_blocks": 0, "quorum_threshold_ppm": 0}
    body = {name: number(params, name, default) for name, default in numbers.items()}
    body["rollback_window_epochs"] = rollback = number(params, "rollback_window_epochs", 1)
    given = params.get("deps", [])
    deps = [u64(dep) for dep in given] if isinstance(given, list) else [None]
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


def history(node: Node, params: Any) -> list[Any]:
    """Empty: nothing activates a proposal."""
    return []


METHODS: dict[str, Callable[[Node, Any], Any]] = {
    "gov.energy_settlement": propose,
    "gov.energy_settlement_history": history,
}
