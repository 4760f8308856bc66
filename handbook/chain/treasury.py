"""Disbursements on a lane's node, from submission to payment."""

from __future__ import annotations

from itertools import count

from handbook.chain.lane import Lane

WINDOW = {"vote_window_epochs": 1, "timelock_epochs": 1, "rollback_window_epochs": 1}
STEPS = 3
"""Draft to Voting, to Queued, to Timelocked."""
_HASHES = count(1)


def submit(lane: Lane, due: int = 1) -> int:
    """The id of a new draft over 1 BLOCK unit that the executor may pay from epoch `due` on."""
    proposal = {"title": "Alert chain", "summary": "A payment to watch.", "quorum": {}, **WINDOW}
    details = {"destination": "tb1qalertchain", "amount": 1, "memo": "", "scheduled_epoch": due}
    answer = lane.rpc("gov.treasury.submit_disbursement", payload={"proposal": proposal, "disbursement": details})
    return int(answer["id"])


def step(lane: Lane, id_: int, number: int) -> None:
    """Step 1 opens the vote, 2 queues, 3 ends the timelock."""
    lane.rpc("gov.treasury.queue_disbursement", id=id_, current_epoch=number)


def timelocked(lane: Lane, due: int = 1) -> int:
    """The id of a disbursement that may be paid."""
    id_ = submit(lane, due)
    for number in range(1, STEPS + 1):
        step(lane, id_, number)
    return id_


def book(lane: Lane, id_: int) -> None:
    """Books it as paid by hand."""
    lane.rpc("gov.treasury.execute_disbursement", id=id_, tx_hash=f"{next(_HASHES):064x}", receipts=[])


def pay(lane: Lane) -> None:
    """A disbursement from submission to booking at once, too early for an executor to pay it too."""
    book(lane, timelocked(lane, due=1_000_000))


def status(lane: Lane, id_: int) -> str:
    """`Draft` to `RolledBack`."""
    found: dict[str, object] = lane.rpc("gov.treasury.disbursement", id=id_)["disbursement"]["disbursement"]["status"]
    return next(iter(found))


def cancel(lane: Lane, id_: int) -> None:
    lane.rpc("gov.treasury.rollback_disbursement", id=id_, reason="rehearsal")
