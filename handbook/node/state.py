"""The one state of a node, and how an event changes it.

`apply` is the only writer: replaying the log gives the same state.

Disbursements and balance snapshots are kept in the wire's own shape, members in alphabetical order, and are never
changed in place. Ids of both are contiguous: the oldest are dropped past the retention limits, or put on pages by a
node that keeps all; the next id is the highest plus one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from handbook.node import dependencies, forks, market_state
from handbook.node import events as ev
from handbook.node.shelf import Shelf, decoded, encodable

EPOCH_BLOCKS = 120
MAX_RECORDS = 1024
MAX_SNAPSHOTS = 2048
MAX_INTENTS = 512

Entry = dict[str, Any]
"""`{"deps": […], "disbursement": {…}}`, as the list and get methods answer it."""


BARE_DRAFT = 2
MARKS = {
    name: 1 << bit
    for bit, name in enumerate(("Draft", "Voting", "Queued", "Timelocked", "Executed", "Finalized", "RolledBack"), 2)
}
"""What a page of records says about those on it: a bit for each state, and one for drafts without a proposal."""


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """A client of a rate limiter: its tokens `idle` seconds ago, and for how many seconds a ban still lasts, if any."""

    address: str
    tokens: float
    idle: float
    banned: float | None


class State(msgspec.Struct):
    """Everything that survives a restart."""

    frozen: int | None = None
    offset: int = 0
    height: int = 0
    mining: ev.MiningSet = ev.MiningSet()
    accounts: dict[str, forks.Account] = {}
    mempool: list[ev.Admitted] = []
    records: Shelf = msgspec.field(default_factory=Shelf)
    """Of `Entry`, by id."""
    last_id: int = 0
    counter: int = 0
    snapshots: Shelf = msgspec.field(default_factory=Shelf)
    """Of the balance, by id."""
    last_snapshot: int = 0
    intents: dict[int, ev.IntentStaged] = {}
    lease: ev.LeaseSet | None = None
    tick: ev.TickStored | None = None
    proposals: dict[int, ev.Proposed] = {}
    votes: dict[int, dict[str, str]] = {}
    energy: market_state.Market = msgspec.field(default_factory=market_state.Market)
    net: forks.Net | None = None
    """None without peers, as the real node always is."""
    keep_all: bool = False
    """The mock's own: no retention limit holds."""
    random_seed: int = 0
    crashed: str = ""
    limiters: dict[str, list[Bucket]] = {}
    """Filled in a snapshot and a dump only: as on the node, a restart forgets who called how often."""
    statuses: dict[str, int] = {}
    """How many stored disbursements are in each state: counted as they change, so that a scrape need not look."""

    def __post_init__(self) -> None:
        """Counts once what an older checkpoint holds."""
        if self.records and not self.statuses:
            self.statuses = dict(Counter(status_name(entry) for entry in self.records.values()))

    @property
    def epoch(self) -> int:
        return self.height // EPOCH_BLOCKS


encode_state = msgspec.json.Encoder(enc_hook=encodable).encode
decode_state = msgspec.json.Decoder(State, dec_hook=decoded).decode


def status_name(entry: Entry) -> str:
    name: str = next(iter(entry["disbursement"]["status"]))
    return name


def marks(entry: Entry) -> int:
    name = status_name(entry)
    return MARKS[name] | (BARE_DRAFT if name == "Draft" and entry["disbursement"]["proposal"] is None else 0)


def apply(state: State, event: ev.Event) -> None:
    _APPLY[type(event)](state, event)


def _clock(state: State, event: ev.ClockSet) -> None:
    state.frozen, state.offset = event.frozen, event.offset


def _retention(state: State, event: ev.RetentionSet) -> None:
    state.keep_all = event.all
    if not event.all:
        state.records.keep(range(max(state.last_id - MAX_RECORDS, 0) + 1, state.last_id + 1))
        state.statuses = dict(Counter(status_name(entry) for entry in state.records.values()))
        state.snapshots.keep(range(max(state.last_snapshot - MAX_SNAPSHOTS, 0) + 1, state.last_snapshot + 1))
        for id_ in list(state.intents)[: max(len(state.intents) - MAX_INTENTS, 0)]:
            del state.intents[id_]


def _drop(state: State, kept: Shelf, id_: int) -> Any:
    """What the node's retention lets go of, if it holds."""
    return None if state.keep_all else kept.pop(id_)


def _height(state: State, event: ev.HeightSet) -> None:
    state.height = event.height


def _mined(state: State, event: ev.Mined) -> None:
    payments, state.mempool = state.mempool, []
    if net := state.net:
        forks.extend(state, net, forks.link(net.tip, net.name, event.blocks, payments))
    else:
        state.height += event.blocks
        for payment in payments:
            forks.pay(state.accounts, payment)
    market_state.drain(state.energy)


def _mining(state: State, event: ev.MiningSet) -> None:
    state.mining = event


def _funded(state: State, event: ev.Funded) -> None:
    if net := state.net:
        gift = forks.digest("gift", net.tip, net.name, event.account, event.amount)
        forks.extend(state, net, forks.link(net.tip, net.name, 0, [], (event.account, event.amount, gift)))
    else:
        state.accounts.setdefault(event.account, forks.Account()).balance += event.amount


def _submitted(state: State, event: ev.Submitted) -> None:
    body, overwritten = event.body, state.records.get(event.id)
    state.records[event.id] = {
        "deps": dependencies.canonical(body["proposal"], body["memo"]),
        "disbursement": {
            "amount": body["amount"],
            "created_at": event.at,
            "destination": body["destination"],
            "expected_receipts": body["expected_receipts"],
            "id": event.id,
            "memo": body["memo"],
            "proposal": body["proposal"],
            "receipts": [],
            "scheduled_epoch": body["scheduled_epoch"],
            "status": {"Draft": {"created_at": event.at}},
        },
    }
    state.last_id = event.id
    _enter(state, "Draft", overwritten or _drop(state, state.records, event.id - MAX_RECORDS))


def _status(state: State, event: ev.StatusSet) -> None:
    entry = state.records[event.id]
    _enter(state, next(iter(event.status)), entry)
    changed = {**entry["disbursement"], "status": event.status}
    if event.receipts is not None:
        changed["receipts"] = event.receipts
    state.records[event.id] = {"deps": entry["deps"], "disbursement": changed}


def _proposal_lost(state: State, event: ev.ProposalLost) -> None:
    record = state.records[event.id]["disbursement"]
    deps = dependencies.from_memo(record["memo"])
    state.records[event.id] = {"deps": deps, "disbursement": {**record, "proposal": None}}


def _enter(state: State, name: str, left: Entry | None) -> None:
    """One more is in state `name`; `left` no longer counts where it was."""
    if left is not None:
        state.statuses[status_name(left)] -= 1
    state.statuses[name] = state.statuses.get(name, 0) + 1


def _balance(state: State, event: ev.BalanceMoved) -> None:
    state.counter += event.delta
    state.last_snapshot += 1
    state.snapshots[state.last_snapshot] = {
        "balance": state.counter,
        "delta": event.delta,
        "disbursement_id": event.disbursement,
        "event": event.kind,
        "id": state.last_snapshot,
        "recorded_at": event.at,
    }
    _drop(state, state.snapshots, state.last_snapshot - MAX_SNAPSHOTS)


def _intent(state: State, event: ev.IntentStaged) -> None:
    state.intents.pop(event.disbursement, None)
    state.intents[event.disbursement] = event
    if len(state.intents) > MAX_INTENTS and not state.keep_all:
        del state.intents[next(iter(state.intents))]


def _intent_removed(state: State, event: ev.IntentRemoved) -> None:
    state.intents.pop(event.disbursement, None)


def _admitted(state: State, event: ev.Admitted) -> None:
    state.mempool.append(event)


def _lease(state: State, event: ev.LeaseSet) -> None:
    state.lease = event


def _tick(state: State, event: ev.TickStored) -> None:
    state.tick = event


def _proposed(state: State, event: ev.Proposed) -> None:
    state.proposals[event.id] = event


def _voted(state: State, event: ev.Voted) -> None:
    state.votes.setdefault(event.proposal, {})[event.voter] = event.choice


def _energy(state: State, event: ev.Event) -> None:
    market_state.APPLY[type(event)](state.energy, event)


def _chain_taken(state: State, event: ev.ChainTaken) -> None:
    assert state.net
    forks.take(state, state.net, event)
    if any(link.blocks for link in event.links):
        market_state.drain(state.energy)


def _random_seeded(state: State, event: ev.RandomSeeded) -> None:
    state.random_seed = event.seed


def _crashed(state: State, event: ev.Crashed) -> None:
    state.crashed = event.fault


_APPLY: dict[type, Callable[[State, Any], None]] = {
    ev.ClockSet: _clock,
    ev.RetentionSet: _retention,
    ev.HeightSet: _height,
    ev.Mined: _mined,
    ev.MiningSet: _mining,
    ev.Funded: _funded,
    ev.Submitted: _submitted,
    ev.StatusSet: _status,
    ev.ProposalLost: _proposal_lost,
    ev.BalanceMoved: _balance,
    ev.IntentStaged: _intent,
    ev.IntentRemoved: _intent_removed,
    ev.Admitted: _admitted,
    ev.LeaseSet: _lease,
    ev.TickStored: _tick,
    ev.Proposed: _proposed,
    ev.Voted: _voted,
    **dict.fromkeys(market_state.APPLY, _energy),
    ev.PeersSet: forks.meet,
    ev.ChainTaken: _chain_taken,
    ev.RandomSeeded: _random_seeded,
    ev.Crashed: _crashed,
}
