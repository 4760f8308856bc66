"""The control listener: what a real node has not got.

Params are strict and errors say which member was wrong and what fits.

Every result of a change is what can be asked for afterwards, so that a page can show it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from handbook.node import events as ev
from handbook.node import near, snapshots
from handbook.node.batch import Batch
from handbook.node.config import address
from handbook.node.desk import Answer, Desk
from handbook.node.deviations import BUILDS, SWITCHES
from handbook.node.failure import CommitFailed, RpcError, StartFailure
from handbook.node.faults import KINDS, LASTING, OPTIONAL, TAKES, WIRE
from handbook.node.gate import Caller
from handbook.node.journal import Filter
from handbook.node.market_state import MAX_PROVIDERS
from handbook.node.members import MAX_AMOUNT, MEMBERS, check, wrong
from handbook.node.node import Node
from handbook.node.parser import Request
from handbook.node.peers import MAX_MESSAGE
from handbook.node.rpc import host_allowed
from handbook.node.state import EPOCH_BLOCKS
from handbook.node.wire import FRESH_SECONDS, Connection, reply


def status(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """What the node is and where it stands; `writes` counts the calls that changed it."""
    executor = node.executor
    idle = {"alive": False, "ended": None, "identity": None, "mode": "off"}
    return {
        "boot_id": node.boot_id,
        "build": node.config.build,
        "clock": _clock(node),
        "deviations": sorted(node.deviations),
        "epoch": node.state.epoch,
        "events": node.log.seq + node.pending,
        "executor": executor.shown() if executor else idle,
        "height": node.state.height,
        "writes": node.journal.writes,
    }


def reset(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Gives a fresh node. What is left out is as this process was started, at height 0."""
    config = node.config
    try:
        node.reset(
            params.get("treasury_balance", config.treasury_balance or 0),
            params.get("clock", config.clock),
            params.get("height", 0),
            mode := params.get("executor", "timer" if config.treasury_executor else "off"),
        )
    except CommitFailed as failure:
        raise RpcError(-32092, "treasury storage error", str(failure)) from None
    _run_if_timer(node, mode)
    return status(node, {})


def clock(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Moves the clock: `set` or `advance` first, then `freeze`; let go, it runs on from where it stood."""
    if "set" in params and "advance" in params:
        raise wrong("set", "either set or advance, not both", params["set"])
    state, moment = node.state, node.true_now()
    to = params.get("set", moment + params.get("advance", 0))
    freeze = params.get("freeze", state.frozen is not None)
    real = moment - state.offset if state.frozen is None else int(time.time())
    event = ev.ClockSet(to, 0) if freeze else ev.ClockSet(None, to - real)
    if (event.frozen, event.offset) != (state.frozen, state.offset):
        node.record(event)
    return _clock(node)


def epoch(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Mines up to the first block of the epoch. A chain does not shrink."""
    if ("set" in params) == ("advance" in params):
        raise RpcError(-32602, "set or advance: expected one of the two")
    now = node.state.epoch
    to = params.get("set", now + params.get("advance", 0))
    if to < now:
        raise wrong("set", f"an epoch from {now} on, a chain does not shrink; mock.reset starts over", to)
    blocks = to * EPOCH_BLOCKS - node.state.height
    if blocks > 0:
        node.record(ev.Mined(blocks))
    return {"epoch": node.state.epoch, "height": node.state.height}


def mine(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Mines blocks. `transactions` is how many payments left the mempool."""
    waiting = len(node.state.mempool)
    node.record(ev.Mined(params.get("blocks", 1)))
    return {"epoch": node.state.epoch, "height": node.state.height, "transactions": waiting}


def mining(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Mines a block every `interval` seconds of real time; 0 stops. A restart and mock.reset stop it too."""
    node.stop_mining()
    if interval := params["interval"]:
        loop = asyncio.get_running_loop()

        def mine_one() -> None:
            node.record(ev.Mined(1))
            node.miner = loop.call_later(interval, mine_one)

        node.miner = loop.call_later(interval, mine_one)
    return {"height": node.state.height, "interval": interval}


def fund(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Adds to the treasury counter (an accrual), or to an account of the chain; nothing reconciles the two."""
    if ("counter" in params) == ("account" in params):
        raise RpcError(-32602, "counter or account: expected one of the two")
    if "counter" in params:
        if "amount" in params:
            raise wrong("amount", "no such member beside counter", params["amount"])
        if node.state.counter + params["counter"] > MAX_AMOUNT:
            raise wrong("counter", f"at most {MAX_AMOUNT} in the treasury", params["counter"])
        node.record(ev.BalanceMoved("Accrual", params["counter"], None, node.now()))
        return {"balance": node.state.counter}
    if "amount" not in params:
        raise wrong("amount", MEMBERS["mock.fund"]["amount"].expected, None)
    node.record(ev.Funded(params["account"], params["amount"]))
    return {"account": params["account"], "amount": node.state.accounts[params["account"]].balance}


def snapshot(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Keeps the state, also through `kill -9`. Journal, metrics and faults are not part of it."""
    taken: dict[str, Any] = _stored(node, lambda: snapshots.take(node.log, node.state, node.now()))
    return taken


def revert(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Goes back to a snapshot, the clock included. Later snapshots stay."""
    _stored(node, lambda: node.jump(lambda log: snapshots.revert(log, params["id"])))
    return _jumped(node)


def kept(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Lists the snapshots, oldest first; `drop` forgets one before."""
    if "drop" in params:
        _stored(node, lambda: snapshots.drop(node.log, params["drop"]))
    return {"snapshots": snapshots.shown(node.log)}


def dump(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Writes the state to a file of the node's machine; a relative path starts at the node's data directory."""
    path = node.config.data_dir / params["path"]
    header = _stored(node, lambda: snapshots.dump(node.state, path, node.now()))
    return {"bytes": header.size, "crc": header.crc, "path": str(path)}


def load(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Takes up the state of a dump, of this node or another."""
    _stored(node, lambda: node.jump(lambda log: snapshots.load(log, node.config.data_dir / params["path"])))
    return _jumped(node)


def _jumped(node: Node) -> dict[str, Any]:
    node.journal.writes += 1
    if node.executor:
        _run_if_timer(node, node.executor.mode)
    return status(node, {})


def _stored(node: Node, change: Callable[[], Any]) -> Any:
    try:
        node.commit()
        return change()
    except snapshots.Unusable as error:
        raise RpcError(-32602, str(error)) from None
    except CommitFailed as failure:
        raise RpcError(-32092, "treasury storage error", str(failure)) from None


def seed(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Sets where chance is drawn from: the same seed, faults and calls give the same hits."""
    if params["seed"] != node.state.random_seed:
        node.record(ev.RandomSeeded(params["seed"]))
    return {"seed": node.state.random_seed}


def journal(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """The calls that were made, oldest first, from number `since` on; 10 000 are kept. `method` may be a pattern."""
    page = node.journal.page(
        params.get("since", 1),
        params.get("limit"),
        Filter(params.get("method"), params.get("listener"), params.get("failed")),
    )
    for entry in page["entries"]:
        if entry["error"] and entry["listener"] == "rpc":
            found = near.miss(node.contract, entry["method"], entry["error"]["code"], entry["params"])
            if found:
                entry["error"]["near"] = found
    return {"boot_id": node.boot_id, "writes": node.journal.writes, **page}


def executor(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Starts, hands over or stops the executor. An ended one starts anew, as after a restart of the node."""
    if (mode := params["mode"]) == "off":
        node.stop_executor()
    else:
        node.start_executor(mode, params.get("id"), params.get("lease"), params.get("poll_interval"))
        _run_if_timer(node, mode)
    shown: dict[str, Any] = status(node, {})["executor"]
    return shown


def tick(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Ticks the executor, and says what came of each; none runs after the thread has ended."""
    if node.executor is None:
        raise RpcError(-32602, 'the executor is off (hint: mock.executor {"mode": "manual"})')
    outcomes = []
    for _ in range(params.get("count", 1)):
        if not node.executor.alive:
            break
        outcomes.append(node.executor.tick())
    return {"alive": node.executor.alive, "outcomes": outcomes}


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
    if kind in SWITCHES or kind == "clock_skew":
        if params.get("times"):
            raise wrong("times", f"no such member for {kind} but 0", params["times"])
        node.metrics.faults.add(kind)
        node.faults.struck.append(kind)
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


def energy(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Sets the energy market's parameters, one provider's key, rehearsal. What is left out stays."""
    market, rehearsal = node.state.energy, params.get("rehearsal")
    before = msgspec.to_builtins(market.rules)
    rules = {name: params.get(name, value) for name, value in before.items()}
    if ("provider_id" in params) != ("public_key_hex" in params):
        raise RpcError(-32602, "provider_id and public_key_hex: expected both or neither")
    if rules != before:
        node.record(ev.EnergyRulesSet(rules))
        node.metrics.gauges["energy_settlement_mode"] = int(rules["mode"] == "real_time")
    if "provider_id" in params:
        keys = {**market.keys, params["provider_id"]: params["public_key_hex"].lower()}
        if len(keys) > MAX_PROVIDERS:
            raise wrong("provider_id", f"at most {MAX_PROVIDERS} providers with a key", params["provider_id"])
        node.record(ev.ProviderKeysSet(keys))
    if rehearsal is not None:
        _rehearse(node, rehearsal)
    return {**rules, "provider_keys": node.state.energy.keys, "rehearsal": "energy_rehearsal" in node.deviations}


def _rehearse(node: Node, on: bool) -> None:
    """The deviation of that name, as a fault: switched off it is gone, unless the build is so."""
    name = "energy_rehearsal"
    if not on and name in BUILDS[node.config.build]:
        why = f"build {node.config.build} is always in rehearsal; start a node without --build"
        raise RpcError(-32602, f"rehearsal: {why}")
    standing = [fault for fault in node.faults.standing if fault.fault == name]
    if on and name not in node.deviations:
        node.deviations.add(name)
        node.faults.add(name, None)
    elif not on:
        for fault in standing:
            node.faults.clear(fault.id)
        node.deviations.discard(name)


METHODS: dict[str, Callable[[Node, dict[str, Any]], dict[str, Any]]] = {
    "mock.clock": clock,
    "mock.energy": energy,
    "mock.dump": dump,
    "mock.epoch": epoch,
    "mock.exchange": exchange,
    "mock.executor": executor,
    "mock.fault.add": fault_add,
    "mock.fault.clear": fault_clear,
    "mock.fault.list": fault_list,
    "mock.fund": fund,
    "mock.heal": heal,
    "mock.journal": journal,
    "mock.load": load,
    "mock.mine": mine,
    "mock.mining": mining,
    "mock.partition": partition,
    "mock.peers": peers,
    "mock.reset": reset,
    "mock.revert": revert,
    "mock.seed": seed,
    "mock.snapshot": snapshot,
    "mock.snapshots": kept,
    "mock.status": status,
    "mock.tick": tick,
}
LOOPBACK_HOSTS = frozenset({b"127.0.0.1", b"localhost"})
RULE = ("method", "nth", "probability")
UNLISTED = frozenset({"mock.exchange", "mock.journal", "mock.reset", "mock.status"})


def run(node: Node, method: str, params: Any, caller: Caller) -> Any:
    handler = METHODS.get(method)
    if handler is None:
        raise RpcError(-32601, f"{method}: no such method; there are {', '.join(METHODS)}")
    params = {} if params is None else params
    check(method, params)
    return handler(node, params)


class ControlSite:
    """POST / only. No limiter; the default Host list of the RPC listener, against pages that guess at local ports."""

    max_body, fresh_seconds = MAX_MESSAGE, FRESH_SECONDS

    def __init__(self, node: Node, batch: Batch) -> None:
        self._node, self._batch = node, batch
        self._desk = Desk(node, "control", run, UNLISTED)

    def answer(self, connection: Connection, request: Request) -> None:
        if request.verb != b"POST" or request.target.partition(b"?")[0] != b"/":
            self._batch.send(self, connection, None, Answer(reply(404, close=request.close), request.close))
        elif not host_allowed(request.host, LOOPBACK_HOSTS):
            self._batch.send(self, connection, None, Answer(reply(403, close=True), True))
        else:
            self._node.metrics.requests["control"] += 1
            self._batch.send(self, connection, request, self.respond(request))

    def respond(self, request: Request, again: Answer | None = None) -> Answer:
        return self._desk.call(request.body, request.close, again)

    def refuse(self, answer: Answer, why: str) -> Answer:
        return self._desk.refuse(answer, why)

    def drop(self, connection: Connection) -> None:
        self._batch.send(self, connection, None, Answer(None))


def _clock(node: Node) -> dict[str, Any]:
    return {"frozen": node.state.frozen is not None, "now": node.now()}


def _run_if_timer(node: Node, mode: str) -> None:
    if mode == "timer" and node.executor:
        asyncio.get_running_loop().call_soon(node.executor.run, asyncio.get_running_loop())
