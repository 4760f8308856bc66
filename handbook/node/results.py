"""What the `mock.*` methods answer: every member, its type, its meaning. An answer that does not fit never leaves."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from handbook.node import peers


class Result(Struct, forbid_unknown_fields=True):
    """Base of all results, and of the objects in them."""


class Clock(Result):
    frozen: Annotated[bool, Meta(description="whether it stands")]
    now: Annotated[int, Meta(description="Unix seconds, off by what `clock_skew` says")]


class Executor(Result):
    alive: Annotated[bool, Meta(description="whether its thread runs")]
    ended: Annotated[str | None, Meta(description="why it ended, which the node tells nobody")]
    identity: Annotated[str | None, Meta(description="the lease holder's name")]
    mode: Annotated[str, Meta(description="`off`, `manual` or `timer`")]


class Status(Result):
    boot_id: Annotated[str, Meta(description="another one after each start of the process")]
    build: Annotated[str, Meta(description="`--build`")]
    clock: Clock
    deviations: Annotated[list[str], Meta(description="those in force, of the build and by fault")]
    epoch: Annotated[int, Meta(description="120 blocks are one")]
    events: Annotated[int, Meta(description="number of the last event in the log")]
    executor: Executor
    height: Annotated[int, Meta(description="blocks of the chain")]
    writes: Annotated[int, Meta(description="calls that changed something since the start or `mock.reset`")]


class Energy(Result):
    expiry_blocks: Annotated[int, Meta(description="age past which a credit cannot be settled, if not 0")]
    min_stake: Annotated[int, Meta(description="least stake of a provider")]
    mode: Annotated[str, Meta(description="`batch` or `real_time`")]
    oracle_timeout_blocks: Annotated[int, Meta(description="the same where `expiry_blocks` is 0; 0 for no limit")]
    provider_keys: Annotated[dict[str, str], Meta(description="public keys as hex, by provider")]
    quorum_threshold_ppm: Annotated[int, Meta(description="least share of the capacity in one settlement")]
    rehearsal: Annotated[bool, Meta(description="whether all changes are -33020")]
    slashing_rate_bps: Annotated[int, Meta(description="share of the price that is slashed")]


class Dumped(Result):
    bytes: Annotated[int, Meta(description="of the state, without its pages")]
    crc: Annotated[int, Meta(description="CRC-32 of the same")]
    path: Annotated[str, Meta(description="the file")]


class Epoch(Result):
    epoch: Annotated[int, Meta(description="of the chain now")]
    height: Annotated[int, Meta(description="of the chain now")]


_Given = Annotated[int | UnsetType, Meta(description="as it was given")]


class Fault(Result):
    id: Annotated[int, Meta(description="for `mock.fault.clear`")]
    fault: Annotated[str, Meta(description="its kind")]
    times: Annotated[int | None, Meta(description="hits that are left; null until cleared")]
    method: Annotated[str | UnsetType, Meta(description="name or pattern of its rule")] = UNSET
    nth: Annotated[int | UnsetType, Meta(description="from which match on")] = UNSET
    probability: Annotated[float | UnsetType, Meta(description="of a hit at a match")] = UNSET
    seen: Annotated[int | UnsetType, Meta(description="matches so far, if any")] = UNSET
    hits: Annotated[int | UnsetType, Meta(description="hits so far, if any")] = UNSET
    since: Annotated[int | UnsetType, Meta(description="when `clock_skew` was set, Unix seconds")] = UNSET
    bytes: _Given = UNSET
    bytes_per_second: _Given = UNSET
    code: _Given = UNSET
    drift: _Given = UNSET
    jitter: _Given = UNSET
    message: Annotated[str | UnsetType, Meta(description="as it was given")] = UNSET
    milliseconds: _Given = UNSET
    price: _Given = UNSET
    seconds: _Given = UNSET
    status: _Given = UNSET


class Cleared(Result):
    cleared: Annotated[int, Meta(description="how many went")]


class Faults(Result):
    faults: Annotated[list[Fault], Meta(description="those that stand, as `mock.fault.add` answers them")]
    known: Annotated[dict[str, str], Meta(description="every kind, and what it does")]


class Funded(Result):
    account: Annotated[str | UnsetType, Meta(description="the account, if one was named")] = UNSET
    amount: Annotated[int | UnsetType, Meta(description="its coins now")] = UNSET
    balance: Annotated[int | UnsetType, Meta(description="the treasury counter now, if it was named")] = UNSET


class Peer(Result):
    address: Annotated[str, Meta(description="its control listener")]
    cut: Annotated[bool, Meta(description="whether `mock.partition` holds it off")]
    error: Annotated[str | None, Meta(description="why the last talk failed")]
    in_step: Annotated[bool, Meta(description="whether its last word was this node's own tip")]


class Net(Result):
    height: Annotated[int, Meta(description="blocks of the chain")]
    name: Annotated[str, Meta(description="this node's control listener")]
    peers: Annotated[list[Peer], Meta(description="the nodes it shares a chain with")]
    tip: Annotated[str | None, Meta(description="hash of the chain's end; null without peers")]


class Failure(Result):
    code: Annotated[int | None, Meta(description="null if there was no answer")]
    message: Annotated[str | None, Meta(description="as the caller got it")]
    reason: Annotated[str | UnsetType, Meta(description="what the caller is not told")] = UNSET
    near: Annotated[str | UnsetType, Meta(description="what was probably meant")] = UNSET


class Entry(Result):
    at: Annotated[int, Meta(description="Unix seconds on the node's clock")]
    changed: Annotated[bool, Meta(description="whether the state changed")]
    error: Failure | None
    faults: Annotated[list[str], Meta(description="faults and deviations that showed in it")]
    listener: Annotated[str, Meta(description="`rpc`, `control`, `executor` or `process`")]
    method: Annotated[str | None, Meta(description="null for what is no call")]
    ok: Annotated[bool, Meta(description="whether it got a result")]
    params: Annotated[Any, Meta(description="as they came, cut at 2048 bytes")]
    seq: Annotated[int, Meta(description="its number")]


class Journal(Result):
    boot_id: Annotated[str, Meta(description="as in `mock.status`")]
    dropped: Annotated[int, Meta(description="calls that are no longer kept")]
    entries: Annotated[list[Entry], Meta(description="oldest first")]
    next: Annotated[int, Meta(description="what `since` should be the next time")]
    writes: Annotated[int, Meta(description="as in `mock.status`")]


class Mined(Result):
    epoch: Annotated[int, Meta(description="of the chain now")]
    height: Annotated[int, Meta(description="of the chain now")]
    transactions: Annotated[int, Meta(description="payments that left the mempool")]


class Mining(Result):
    blocks: Annotated[int, Meta(description="at a time, of a timer")]
    height: Annotated[int, Meta(description="of the chain now")]
    interval: Annotated[int, Meta(description="seconds of a timer")]
    mode: Annotated[str, Meta(description="`manual`, `timer` or `auto`")]


class Seeded(Result):
    seed: Annotated[int, Meta(description="where chance is drawn from")]


class Snapshot(Result):
    at: Annotated[int, Meta(description="Unix seconds on the node's clock")]
    events: Annotated[int, Meta(description="the last event that is in it")]
    id: Annotated[int, Meta(description="for `mock.revert`; never given twice")]


class Snapshots(Result):
    snapshots: Annotated[list[Snapshot], Meta(description="those that are kept, oldest first")]


class Ticked(Result):
    alive: Annotated[bool, Meta(description="whether the thread still runs")]
    outcomes: Annotated[list[str], Meta(description="of each tick: `success`, or the node's own words")]


RESULTS: dict[str, type[Struct]] = {
    "mock.clock": Clock,
    "mock.energy": Energy,
    "mock.dump": Dumped,
    "mock.epoch": Epoch,
    "mock.exchange": peers.Message,
    "mock.executor": Executor,
    "mock.fault.add": Fault,
    "mock.fault.clear": Cleared,
    "mock.fault.list": Faults,
    "mock.fund": Funded,
    "mock.heal": Net,
    "mock.journal": Journal,
    "mock.load": Status,
    "mock.mine": Mined,
    "mock.mining": Mining,
    "mock.partition": Net,
    "mock.peers": Net,
    "mock.reset": Status,
    "mock.revert": Status,
    "mock.seed": Seeded,
    "mock.snapshot": Snapshot,
    "mock.snapshots": Snapshots,
    "mock.status": Status,
    "mock.tick": Ticked,
}


def misfit(method: str, result: dict[str, Any]) -> str | None:
    """Why a result is not what is said of it here; None when it is."""
    try:
        msgspec.convert(result, RESULTS[method])
    except msgspec.ValidationError as error:
        return f"{method} result: {error}"
    return None
