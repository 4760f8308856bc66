"""What an operator steers: clock, chain, coins, executor, energy market. Each result is what can be asked for after."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from handbook.node import events as ev
from handbook.node import miner
from handbook.node.breaking import rehearse
from handbook.node.failure import CommitFailed, RpcError
from handbook.node.market_state import MAX_PROVIDERS
from handbook.node.members import MAX_AMOUNT, MEMBERS, wrong
from handbook.node.node import Node
from handbook.node.state import EPOCH_BLOCKS


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
    run_if_timer(node, mode)
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
    """Says how chain time passes, also after a restart: `manual`, `timer` or `auto`. Without params it shows.

    An `interval` alone asks for a timer, or for none if it is 0.
    """
    if params:
        interval = params.get("interval", 0)
        mode = params.get("mode", miner.TIMER if interval else miner.MANUAL)
        if mode == miner.TIMER and not interval:
            raise wrong("interval", "an integer from 1 to 86400 beside mode timer", params.get("interval"))
        if mode != miner.TIMER and (stray := next((one for one in ("interval", "blocks") if params.get(one)), None)):
            raise wrong(stray, f"no such member beside mode {mode}", params[stray])
        wanted = ev.MiningSet(mode, interval, params.get("blocks", 1)) if interval else ev.MiningSet(mode)
        if wanted != node.state.mining:
            node.record(wanted)
            node.miner.follow()
    found = node.state.mining
    return {"blocks": found.blocks, "height": node.state.height, "interval": found.interval, "mode": found.mode}


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


def seed(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Sets where chance is drawn from: the same seed, faults and calls give the same hits."""
    if params["seed"] != node.state.random_seed:
        node.record(ev.RandomSeeded(params["seed"]))
    return {"seed": node.state.random_seed}


def executor(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Starts, hands over or stops the executor. An ended one starts anew, as after a restart of the node."""
    if (mode := params["mode"]) == "off":
        node.stop_executor()
    else:
        node.start_executor(mode, params.get("id"), params.get("lease"), params.get("poll_interval"))
        run_if_timer(node, mode)
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
        rehearse(node, rehearsal)
    return {**rules, "provider_keys": node.state.energy.keys, "rehearsal": "energy_rehearsal" in node.deviations}


def _clock(node: Node) -> dict[str, Any]:
    return {"frozen": node.state.frozen is not None, "now": node.clock()}


def run_if_timer(node: Node, mode: str) -> None:
    """Lets an executor in timer mode tick at once."""
    if mode == "timer" and node.executor:
        asyncio.get_running_loop().call_soon(node.executor.run, asyncio.get_running_loop())
