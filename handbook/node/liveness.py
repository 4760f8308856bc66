"""The methods that tell whether a node is alive.

Params are read leniently, as the node does: what does not fit counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import chain
from handbook.node.exposition import render
from handbook.node.failure import Dropped
from handbook.node.node import Node

DIFFICULTY = 1


def balance(node: Node, params: Any) -> dict[str, Any]:
    return {"amount": chain.balance(node.state, _text(params, "address"))}


def mempool_stats(node: Node, params: Any) -> dict[str, Any]:
    return chain.stats(node.state, _text(params, "lane"), node.now())


def settlement_status(node: Node, params: Any) -> dict[str, Any]:
    """With a provider the node adds its balance; nothing settles here, so it is 0."""
    known = isinstance(params, dict) and isinstance(params.get("provider"), str)
    return {"balance": 0, "mode": "dryrun"} if known else {"mode": "dryrun"}


def latest_header(node: Node, params: Any) -> dict[str, Any]:
    """On a chain with no blocks the node panics here while it holds the chain lock.

    No answer, and the executor's thread ends.
    """
    height = node.state.height
    if not height:
        node.poisoned = True
        if node.executor and node.executor.alive:
            node.executor.end("blockchain lock poisoned")
    if node.poisoned:
        raise Dropped("chain lock poisoned by light.latest_header on an empty chain")
    return {"difficulty": DIFFICULTY, "hash": chain.hash_of("block", height), "height": height}


def metrics(node: Node, params: Any) -> str:
    return render(node)


def _text(params: Any, name: str) -> str:
    found = params.get(name) if isinstance(params, dict) else None
    return found if isinstance(found, str) else ""


def _always(result: Any) -> Callable[[Node, Any], Any]:
    return lambda node, params: result


METHODS: dict[str, Callable[[Node, Any], Any]] = {
    "balance": balance,
    "config.reload": _always({"reloaded": True}),
    "consensus.difficulty": _always({"difficulty": DIFFICULTY}),
    "gov.release_signers": _always({"signers": [], "threshold": 0}),
    "governor.decisions": _always([]),
    "governor.status": _always({"status": "disabled"}),
    "inflation.params": _always(
        {
            "beta_storage_sub": 50,
            "gamma_read_sub": 20,
            "industrial_backlog": 0,
            "industrial_multiplier": 100,
            "industrial_utilization": 0,
            "kappa_cpu_sub": 10,
            "lambda_bytes_out_sub": 5,
            "rent_rate_per_byte": 0,
        }
    ),
    "light.latest_header": latest_header,
    "light_client.rebate_status": _always({"pending_total": 0, "relayers": []}),
    "mempool.stats": mempool_stats,
    "mesh.peers": _always({"peers": []}),
    "metrics": metrics,
    "net.gossip_status": _always({"status": "unavailable"}),
    "net.handshake_failures": _always({"failures": []}),
    "settlement_status": settlement_status,
}
