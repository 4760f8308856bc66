"""States that an operator keeps aside, and takes up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import snapshots
from handbook.node.failure import CommitFailed, RpcError
from handbook.node.node import Node
from handbook.node.world import run_if_timer, status


def snapshot(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Keeps the state and the rate limiters' clients, also through `kill -9`; not journal, metrics and faults."""
    taken: dict[str, Any] = _stored(node, lambda: snapshots.take(node.log, node.whole(), node.clock()))
    return taken


def revert(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Goes back to a snapshot, the clock included. Later snapshots stay."""
    _stored(node, lambda: node.jump(lambda log: snapshots.revert(log, params["id"])))
    return _jumped(node)


def kept(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Lists the snapshots, oldest first; `drop` forgets one before."""
    if "drop" in params:
        _stored(node, lambda: snapshots.drop(node.log, params["drop"]))
    return {"snapshots": _stored(node, lambda: snapshots.shown(node.log))}


def dump(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Writes the state to a file of the node's machine; a relative path starts at the node's data directory."""
    path = node.config.data_dir / params["path"]
    header = _stored(node, lambda: snapshots.dump(node.log, node.whole(), path, node.clock()))
    return {"bytes": header.size, "crc": header.crc, "path": str(path)}


def load(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Takes up the state of a dump, of this node or another."""
    _stored(node, lambda: node.jump(lambda log: snapshots.load(log, node.config.data_dir / params["path"])))
    return _jumped(node)


def _jumped(node: Node) -> dict[str, Any]:
    node.journal.writes += 1
    if node.executor:
        run_if_timer(node, node.executor.mode)
    return status(node, {})


def _stored(node: Node, change: Callable[[], Any]) -> Any:
    try:
        node.commit()
        return change()
    except snapshots.Unusable as error:
        raise RpcError(-32602, str(error)) from None
    except CommitFailed as failure:
        raise RpcError(-32092, "treasury storage error", str(failure)) from None
