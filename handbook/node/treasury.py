"""The eight gov.treasury.* methods.

Params have passed the contract; `-32092` hides its reason from the caller, not from the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from handbook.node import events as ev
from handbook.node import lifecycle, records
from handbook.node.failure import Refused, RpcError, storage_error
from handbook.node.lifecycle import whole
from handbook.node.node import Node
from handbook.node.shelf import ANY
from handbook.node.state import MARKS, Entry, State

OVERWRITTEN = "submits_overwritten"
DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_GROUPS = {
    "Scheduled": frozenset({"Draft", "Voting", "Queued", "Timelocked"}),
    "Cancelled": frozenset({"RolledBack"}),
}
_STATUS_TIME = {
    "Draft": "created_at",
    "Voting": "vote_deadline_epoch",
    "Queued": "queued_at",
    "Timelocked": "ready_epoch",
    "Executed": "executed_at",
    "Finalized": "finalized_at",
    "RolledBack": "rolled_back_at",
}
_RANGES = ("epoch", "amount", "created_at", "status_ts")


def disbursements(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    limit, matches = _limit(params), _matcher(params)
    found: list[Entry] = []
    for entry in records.newest_first(node, _start(node.state, params.get("cursor")), _wanted(params)):
        if matches(entry):
            if len(found) == limit:
                return {"disbursements": found, "next_cursor": found[-1]["disbursement"]["id"]}
            found.append(entry)
    return {"disbursements": found, "next_cursor": None}


def disbursement(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    id_ = whole(params["id"])
    entry = records.get(node, id_)
    if entry is None:
        raise RpcError(-32001, f"disbursement {id_} not found")
    return {"disbursement": entry}


def submit_disbursement(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    payload = params["payload"]
    proposal = lifecycle.proposal_from(payload.get("proposal"))
    details = lifecycle.details_from(payload.get("disbursement") or {})
    if reason := lifecycle.why_invalid(proposal, details):
        raise RpcError(-32600, f"disbursement validation failed: {reason}")
    now = node.now()
    overwrites = OVERWRITTEN in node.deviations and node.submits_waiting and node.deviates(OVERWRITTEN)
    submitted, moved = lifecycle.submit(node.state.last_id + (not overwrites), proposal, details, now)
    node.record(submitted)
    if node.strike("history_unwritten"):
        raise storage_error("fault: history_unwritten")
    node.record(moved)
    return {"created_at": now, "id": node.state.last_id}


def queue_disbursement(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """An epoch of exactly 0 asks for the chain's own; leaving it out means epoch 1."""
    id_ = whole(params["id"])
    epoch = whole(params.get("current_epoch", 1)) or node.state.epoch
    _change(node, id_, lambda entry: lifecycle.advance(entry, epoch, node.now()))
    status = node.state.records[id_]["disbursement"]["status"]
    return {"message": f"disbursement {id_} advanced to {lifecycle.debug(status)}", "ok": True}


def execute_disbursement(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    """Books a payment that somebody made: no transaction is created or looked up."""
    id_, tx_hash, receipts = whole(params["id"]), params["tx_hash"], lifecycle.receipts_from(params["receipts"])
    _change(node, id_, lambda entry: lifecycle.execute(entry, node.state.counter, tx_hash, receipts, node.now()))
    return {"message": f"disbursement {id_} executed: {tx_hash}", "ok": True}


def rollback_disbursement(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    id_ = whole(params["id"])
    _change(node, id_, lambda entry: lifecycle.roll_back(entry, params["reason"], node.now()))
    return {"message": f"disbursement {id_} cancelled", "ok": True}


def balance(node: Node, params: Any) -> dict[str, Any]:
    state = node.state
    return {
        "balance": state.counter,
        "executor": executor_snapshot(state),
        "last_snapshot": state.snapshots.get(state.last_snapshot),
    }


def balance_history(node: Node, params: dict[str, Any]) -> dict[str, Any]:
    state, limit = node.state, _limit(params)
    start = state.last_snapshot
    if (cursor := params.get("cursor")) is not None:
        start = min(start, whole(cursor) - 1)
    page = list(islice(state.snapshots.descending(start), limit))
    return {
        "current_balance": state.counter,
        "next_cursor": page[-1]["id"] if page and page[-1]["id"] - 1 in state.snapshots else None,
        "snapshots": page,
    }


def executor_snapshot(state: State) -> dict[str, Any] | None:
    """None until a tick has stored something; the lease's members are those of the lease record now."""
    tick, lease = state.tick, state.lease
    if tick is None:
        return None
    return {
        "last_error": tick.last_error,
        "last_error_at": tick.last_error_at,
        "last_submitted_nonce": lease.last_nonce if lease else tick.last_submitted_nonce,
        "last_success_at": tick.last_success_at,
        "last_tick_at": tick.last_tick_at,
        "lease_expires_at": lease.expires_at if lease else None,
        "lease_holder": lease.holder or None if lease else None,
        "lease_last_nonce": lease.last_nonce if lease else None,
        "lease_released": lease.released if lease else False,
        "lease_renewed_at": lease.renewed_at if lease else None,
        "pending_matured": tick.pending_matured,
        "staged_intents": tick.staged_intents,
    }


def _change(node: Node, id_: int, rule: Callable[[Entry], list[ev.Event]]) -> None:
    try:
        events = records.written(node, id_, rule(records.find(node, id_)))
    except Refused as refused:
        raise storage_error(str(refused)) from None
    if events:
        node.record(*events)


def _limit(params: dict[str, Any]) -> int:
    return min(whole(params.get("limit", 0)) or DEFAULT_LIMIT, MAX_LIMIT)


def _start(state: State, cursor: int | float | None) -> int:
    return state.last_id if cursor is None else min(state.last_id, whole(cursor) - 1)


def _states(params: dict[str, Any]) -> frozenset[str] | None:
    wanted = params.get("status")
    return None if wanted is None else _GROUPS.get(wanted, frozenset({wanted}))


def _wanted(params: dict[str, Any]) -> int:
    """Marks of the pages that can hold what is asked for."""
    states = _states(params)
    return ANY if states is None else sum(MARKS[name] for name in states)


def _matcher(params: dict[str, Any]) -> Callable[[Entry], bool]:
    """A filter over entries. An absent or null member filters nothing."""
    states = _states(params)
    destination = params.get("destination")
    lowered = _ascii_lower(destination) if destination is not None else None
    bounds = [
        (what, params.get(f"min_{what}"), params.get(f"max_{what}"))
        for what in _RANGES
        if params.get(f"min_{what}") is not None or params.get(f"max_{what}") is not None
    ]
    if states is None and lowered is None and not bounds:
        return lambda _: True

    def matches(entry: Entry) -> bool:
        record = entry["disbursement"]
        ((name, fields),) = record["status"].items()
        if states is not None and name not in states:
            return False
        if lowered is not None and _ascii_lower(record["destination"]) != lowered:
            return False
        values = {
            "epoch": record["scheduled_epoch"],
            "amount": record["amount"],
            "created_at": record["created_at"],
            "status_ts": fields[_STATUS_TIME[name]],
        }
        return all((low is None or values[w] >= low) and (high is None or values[w] <= high) for w, low, high in bounds)

    return matches


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _ascii_lower(text: str) -> str:
    return text.translate(_LOWER)


METHODS = {
    "gov.treasury.balance": balance,
    "gov.treasury.balance_history": balance_history,
    "gov.treasury.disbursement": disbursement,
    "gov.treasury.disbursements": disbursements,
    "gov.treasury.execute_disbursement": execute_disbursement,
    "gov.treasury.queue_disbursement": queue_disbursement,
    "gov.treasury.rollback_disbursement": rollback_disbursement,
    "gov.treasury.submit_disbursement": submit_disbursement,
}
