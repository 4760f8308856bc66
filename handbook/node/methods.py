"""The method table. A new family of methods is one more line in `METHODS`; its shapes are in snippets/openrpc.json.

A name that is not here answers -32601, which on the node also means: not on an allow-list, or without the token it
needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from handbook.node import energy, governance, liveness, provider_keys, settlement, treasury
from handbook.node.failure import RpcError, invalid_params
from handbook.node.gate import Caller
from handbook.node.node import Node

METHODS: dict[str, Callable[[Node, Any], Any]] = {
    **treasury.METHODS,
    **liveness.METHODS,
    **governance.METHODS,
    **energy.METHODS,
    **settlement.METHODS,
    **provider_keys.METHODS,
}

# Seed aliases: names that the node does not have and this mock accepts. `x-alias` in openrpc.json says the same.
ALIASES = {"gov.treasury.list_disbursements": "gov.treasury.disbursements"}
STATUS_ALIASES = {
    "draft": "Draft",
    "voting": "Voting",
    "queued": "Queued",
    "timelocked": "Timelocked",
    "executed": "Executed",
    "finalized": "Finalized",
    "rolled_back": "RolledBack",
    "scheduled": "Scheduled",
    "cancelled": "Cancelled",
}


def run(node: Node, method: str, params: Any, caller: Caller) -> Any:
    """The result of one call. Raises RpcError, Dropped."""
    if not node.gate.admit(method, caller, time.monotonic()):
        return {"status": "ok"}
    handler = METHODS.get(method)
    if handler is None:
        if method not in ALIASES or not _aliased(node):
            raise RpcError(-32601, "method not found")
        method = ALIASES[method]
        handler = METHODS[method]
    if params is None and method not in energy.ABSENT_PARAMS_SEEN:
        params = {}
    if method == "gov.treasury.disbursements" and type(params) is dict:
        params = _with_node_status(node, params)
    if not node.contract.params_fit(method, params):
        raise invalid_params()
    result = handler(node, params)
    if misfit := node.contract.misfit(method, result):
        raise RpcError(-32603, "internal error", misfit)
    return result


def _with_node_status(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    status = params.get("status")
    known = STATUS_ALIASES.get(status) if isinstance(status, str) else None
    return {**params, "status": known} if known and _aliased(node) else params


def _aliased(node: Node) -> bool:
    """Whether the seed's names are accepted; a build of the node knows none of them."""
    return node.config.aliases and not node.deviates("aliases_off")
