"""Disbursements on a lane's node, from submission to payment."""

from __future__ import annotations

from itertools import count

from handbook.chain.lane import Lane

WINDOW = {"vote_window_epochs": 1, "timelock_epochs": 1, "rollback_window_epochs": 1}
STEPS = 3
"""Draft to Voting, to Queued, to Timelocked."""
_HASHES = count(1)


def submit(lane: Lane, amount: int = 1) -> int:
    """The id of a new draft that is due from epoch 1 on."""
    proposal = {"title": "Alert chain", "summary": "A payment to watch.", "quorum": {}, **WINDOW}
    details = {"destination": "tb1qalertchain", "amount": amount, "memo": "", "scheduled_epoch": 1}
    answer = lane.rpc("gov.treasury.submit_disbursement", payload={"proposal": proposal, "disbursement": details})
    return int(answer["id"])


def step(lane: Lane, id_: int, number: int) -> None:
    """Step 1 opens the vote, 2 queues, 3 ends the timelock."""
    lane.rpc("gov.treasury.queue_disbursement", id=id_, current_epoch=number)


def timelocked(lane: Lane, amount: int = 1) -> int:
    """The id of a disbursement that may be paid."""
    id_ = submit(lane, amount)
    for number in range(1, STEPS + 1):
        step(lane, id_, number)
    return id_


def book(lane: Lane, id_: int) -> None:
    """Books it as paid by hand."""
    lane.rpc("gov.treasury.execute_disbursement", id=id_, tx_hash=f"{next(_HASHES):064x}", receipts=[])


def pay(lane: Lane) -> None:
    """A disbursement from submission to booking at once."""
    book(lane, timelocked(lane))


def cancel(lane: Lane, id_: int) -> None:
    lane.rpc("gov.treasury.rollback_disbursement", id=id_, reason="rehearsal")
