"""How an event changes the state. `apply` is the only writer: replaying the log gives the same state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from handbook.node import dependencies, forks, market_state
from handbook.node import events as ev
from handbook.node.shelf import Shelf
from handbook.node.state import MAX_INTENTS, MAX_RECORDS, MAX_SNAPSHOTS, Entry, State, status_name


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
