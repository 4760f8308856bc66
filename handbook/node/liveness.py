"""The methods that tell whether a node is alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import chain, forks
from handbook.node.exposition import render
from handbook.node.failure import Dropped
from handbook.node.lenient import number, text
from handbook.node.node import Node

DIFFICULTY = 1
MAX_HEADERS = 10_000


def balance(node: Node, params: Any) -> dict[str, Any]:
    return {"amount": chain.balance(node.state, text(params, "address"))}


def mempool_stats(node: Node, params: Any) -> dict[str, Any]:
    return chain.stats(node.state, text(params, "lane"), node.now())


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
    _clean_lock(node)
    return _header(node, height)


def headers(node: Node, params: Any) -> list[dict[str, Any]]:
    """Oldest first, from height `start`; never more than `MAX_HEADERS`, which is this mock's own bound."""
    _clean_lock(node)
    start, limit = number(params, "start", 0), min(number(params, "limit", 200), MAX_HEADERS)
    first = max(start, 1)
    return [_header(node, height) for height in range(first, min(first + limit, node.state.height + 1))]


def jurisdiction_status(node: Node, params: Any) -> dict[str, Any]:
    _clean_lock(node)
    return {"Summary": {"jurisdiction": None}}


def overlay_status(node: Node, params: Any) -> dict[str, Any]:
    path = str(node.config.data_dir / "overlay")
    return {"active_peers": 0, "backend": "inhouse", "database_path": path, "persisted_peers": 0}


def _header(node: Node, height: int) -> dict[str, Any]:
    net = node.state.net
    found = (net and forks.block_hash(net, height)) or forks.digest("block", height)
    return {"difficulty": DIFFICULTY, "hash": found, "height": height}


def _clean_lock(node: Node) -> None:
    """Methods that insist on a clean lock give no answer once it is poisoned."""
    if node.poisoned:
        raise Dropped("chain lock poisoned by light.latest_header on an empty chain")


def metrics(node: Node, params: Any) -> str:
    node.deviates("metrics_unset")
    return render(node)


def _always(result: Any) -> Callable[[Node, Any], Any]:
    return lambda node, params: result


METHODS: dict[str, Callable[[Node, Any], Any]] = {
    "balance": balance,
    "compute_market.stats": _always(
        {
            "blocktorch": None,
            "industrial_backlog": 0,
            "industrial_price_base": None,
            "industrial_price_per_unit": 0,
            "industrial_price_weighted": None,
            "industrial_units_total": 0,
            "industrial_utilization": 0,
            "lane_starvation": [],
            "lanes": [],
            "pending": [],
            "recent_matches": {},
        }
    ),
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
    "jurisdiction.status": jurisdiction_status,
    "light.headers": headers,
    "light.latest_header": latest_header,
    "light_client.rebate_status": _always({"pending_total": 0, "relayers": []}),
    "mempool.stats": mempool_stats,
    "mesh.peers": _always({"peers": []}),
    "metrics": metrics,
    "net.gossip_status": _always({"status": "unavailable"}),
    "net.handshake_failures": _always({"failures": []}),
    "net.overlay_status": overlay_status,
    "net.peer_stats_all": _always([]),
    "settlement_status": settlement_status,
}
