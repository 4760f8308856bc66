"""The params of the `mock.*` methods: what fits, and what an error says when something does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from handbook.node import miner
from handbook.node.failure import RpcError
from handbook.node.faults import KINDS
from handbook.node.peers import MAX_PEERS

MAX_AMOUNT = 2**63 - 1
MAX_HEIGHT = 2**40
MODES = ("off", "manual", "timer")


class Member:
    """One param: `fits`, and what an error says was expected."""

    def __init__(self, expected: str, fits: Callable[[Any], bool], required: bool = False) -> None:
        self.expected, self.fits, self.required = expected, fits, required


def _whole(low: int, high: int = MAX_AMOUNT, required: bool = False) -> Member:
    return Member(f"an integer from {low} to {high}", lambda v: type(v) is int and low <= v <= high, required)


def _one_of(values: tuple[str, ...], required: bool = False) -> Member:
    return Member("one of " + ", ".join(values), lambda v: v in values if isinstance(v, str) else False, required)


_TEXT = Member("a string that is not empty", lambda v: isinstance(v, str) and bool(v))
_KEY = Member(
    "64 hex digits", lambda v: isinstance(v, str) and len(v) == 64 and set(v) <= set("0123456789abcdefABCDEF")
)
_PATH = Member("a file name", lambda v: isinstance(v, str) and bool(v) and "\0" not in v, True)
_CHANCE = Member("a number over 0, up to 1", lambda v: type(v) in (int, float) and 0 < v <= 1)
_ANY = Member("what another node sends", lambda v: True, required=True)
_ADDRESSES = Member(
    'control addresses, such as ["http://127.0.0.1:13031"]',
    lambda v: isinstance(v, list) and len(v) <= MAX_PEERS and all(isinstance(item, str) and item for item in v),
)
_FLAG = Member("true or false", lambda v: isinstance(v, bool))


MEMBERS: dict[str, dict[str, Member]] = {
    "mock.clock": {"advance": _whole(0, 2**40), "freeze": _FLAG, "set": _whole(0, 2**40)},
    "mock.energy": {
        "expiry_blocks": _whole(0), "min_stake": _whole(0), "mode": _one_of(("batch", "real_time")),
        "oracle_timeout_blocks": _whole(0), "provider_id": _TEXT, "public_key_hex": _KEY,
        "quorum_threshold_ppm": _whole(0, 1_000_000), "rehearsal": _FLAG, "slashing_rate_bps": _whole(0, 10_000),
    },
    "mock.epoch": {"advance": _whole(0, 2**32), "set": _whole(0, 2**32)},
    "mock.exchange": {"links": _ANY, "meet": _FLAG, "mempool": _ANY, "root": _ANY, "sender": _TEXT},
    "mock.executor": {
        "id": _TEXT, "lease": _whole(5, 86_400), "mode": _one_of(MODES, True), "poll_interval": _whole(1, 86_400),
    },
    "mock.fault.add": {
        "bytes": _whole(0, 2**20), "bytes_per_second": _whole(1, 2**20), "code": _whole(-32_768, 32_767),
        "drift": _whole(-500_000, 500_000), "fault": _one_of(tuple(KINDS), True), "jitter": _whole(1, 300_000),
        "message": _TEXT, "method": _TEXT, "milliseconds": _whole(1, 300_000), "nth": _whole(1, 1_000_000),
        "price": _whole(1, 1_000_000), "probability": _CHANCE, "seconds": _whole(-(2**31), 2**31),
        "status": _whole(400, 599), "times": _whole(0, 1_000_000),
    },
    "mock.fault.clear": {"id": _whole(1)},
    "mock.fund": {"account": _TEXT, "amount": _whole(0), "counter": _whole(1)},
    "mock.journal": {
        "failed": _FLAG, "limit": _whole(1), "listener": _one_of(("control", "executor", "process", "rpc")),
        "method": _TEXT, "since": _whole(0),
    },
    "mock.dump": {"path": _PATH},
    "mock.load": {"path": _PATH},
    "mock.revert": {"id": _whole(1, required=True)},
    "mock.seed": {"seed": _whole(0, required=True)},
    "mock.snapshots": {"drop": _whole(1)},
    "mock.partition": {"peers": _ADDRESSES},
    "mock.peers": {"peers": _ADDRESSES},
    "mock.mine": {"blocks": _whole(1, 1_000_000)},
    "mock.mining": {
        "blocks": _whole(1, 1_000_000), "interval": _whole(0, 86_400), "mode": _one_of(tuple(miner.MODES)),
    },
    "mock.reset": {
        "clock": _whole(0, 2**40), "executor": _one_of(MODES), "height": _whole(0, MAX_HEIGHT),
        "treasury_balance": _whole(0),
    },
    "mock.tick": {"count": _whole(1, 1000)},
}  # fmt: skip


def check(method: str, params: Any) -> None:
    """Raises RpcError for the first member that does not fit."""
    if type(params) is not dict:
        raise RpcError(-32602, f"params: expected an object, got {_seen(params)}")
    members = MEMBERS.get(method, {})
    for name, value in params.items():
        if name not in members:
            raise RpcError(-32602, f"{name}: no such member; {method} takes {', '.join(members) or 'none'}")
        if not members[name].fits(value):
            raise wrong(name, members[name].expected, value)
    for name, member in members.items():
        if member.required and name not in params:
            raise wrong(name, member.expected, None)


def wrong(name: str, expected: str, value: Any) -> RpcError:
    return RpcError(-32602, f"{name}: expected {expected}, got {_seen(value) if value is not None else 'none'}")


def _seen(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
