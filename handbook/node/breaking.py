"""What an operator breaks: calls, by faults and rules, and the net between mock nodes."""

from __future__ import annotations

from typing import Any

from handbook.node.config import address
from handbook.node.deviations import BUILDS, SWITCHES
from handbook.node.failure import RpcError, StartFailure
from handbook.node.faults import KINDS, LASTING, OPTIONAL, TAKES, WIRE
from handbook.node.members import MEMBERS, wrong
from handbook.node.node import Node

RULE = ("method", "nth", "probability")


def fault_add(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Breaks something. Without `times` once; `times` 0 is until cleared, as lasting conditions are anyway."""
    kind = params["fault"]
    rest = {name: value for name, value in params.items() if name not in ("fault", "times")}
    takes = TAKES.get(kind, ())
    for name in rest:
        ruled = name in RULE and (name != "method" or kind in WIRE) and kind != "clock_skew" and kind not in SWITCHES
        if not ruled and name not in takes:
            raise wrong(name, f"no such member for {kind}", rest[name])
    for name in takes:
        if name not in rest and name not in OPTIONAL:
            raise wrong(name, MEMBERS["mock.fault.add"][name].expected, None)
    if (kind in SWITCHES or kind == "clock_skew") and params.get("times"):
        raise wrong("times", f"no such member for {kind} but 0", params["times"])
    if kind == "clock_skew":
        rest["since"] = node.true_now()
    elif kind in SWITCHES:
        node.deviations.add(kind)
    return node.faults.add(kind, params.get("times", 0 if kind in LASTING else 1) or None, **rest).shown()


def fault_list(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """The faults that stand, with what is left of them, and every kind there is."""
    return {"faults": [fault.shown() for fault in node.faults.standing], "known": KINDS}


def fault_clear(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Takes one fault away, or all."""
    before = {fault.fault for fault in node.faults.standing}
    cleared = node.faults.clear(params.get("id"))
    gone = before - {fault.fault for fault in node.faults.standing}
    node.deviations -= (gone & SWITCHES.keys()) - BUILDS[node.config.build]
    return {"cleared": cleared}


def peers(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Shares one chain with other mock nodes, by their control addresses; `[]` leaves them. Without params it shows."""
    if "peers" in params:
        addresses = _addresses(node, params["peers"])
        node.peers.set(addresses, [peer for peer in _cut(node) if peer in addresses])
    return node.peers.shown()


def partition(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Cuts this node off from some of its peers, in both directions; from all of them without `peers`."""
    known = node.state.net.peers if node.state.net else []
    lost = _addresses(node, params["peers"]) if "peers" in params else known
    if strangers := [peer for peer in lost if peer not in known]:
        raise wrong("peers", f"peers of this node ({', '.join(known) or 'it has none'})", strangers)
    node.peers.set(known, [peer for peer in known if peer in lost or peer in _cut(node)])
    return node.peers.shown()


def heal(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Ends every partition that this node made. The nodes are in step a moment later: ask `mock.peers`."""
    if node.state.net:
        node.peers.set(node.state.net.peers, [])
    return node.peers.shown()


def exchange(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """What one mock node tells another: its chain and its mempool. Answers its own."""
    return node.peers.take(params)


def rehearse(node: Node, on: bool) -> None:
    """Sets or clears the fault `energy_rehearsal`. Raises RpcError for a build that is always so."""
    name = "energy_rehearsal"
    if not on and name in BUILDS[node.config.build]:
        why = f"build {node.config.build} is always in rehearsal; start a node without --build"
        raise RpcError(-32602, f"rehearsal: {why}")
    if on and name not in node.deviations:
        fault_add(node, {"fault": name})
    elif not on:
        for id_ in [fault.id for fault in node.faults.standing if fault.fault == name]:
            fault_clear(node, {"id": id_})


def _cut(node: Node) -> list[str]:
    return node.state.net.cut if node.state.net else []


def _addresses(node: Node, given: list[str]) -> list[str]:
    found = []
    for item in given:
        where = item.removeprefix("http://").removesuffix("/")
        try:
            address("peers", where)
        except StartFailure:
            raise wrong("peers", MEMBERS["mock.peers"]["peers"].expected, item) from None
        if where == node.peers.name:
            raise wrong("peers", "other nodes than this one", item)
        found.append(where)
    return list(dict.fromkeys(found))
