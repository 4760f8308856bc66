"""What a call or a tick may do to a disbursement: the stored entry and arguments in, events out.

Raises Refused with the store's reason.

The rules are the node's own: no window, dependency or scheduled epoch is checked here; only the executor looks at
those.
"""

from __future__ import annotations

from typing import Any

from handbook.node import events as ev
from handbook.node.dependencies import MAX_MEMO, ordered
from handbook.node.failure import Refused
from handbook.node.state import Entry, status_name

MAX_PPM = 1_000_000
U64_MAX = 2**64 - 1

_FIELD_ORDER = {
    "Draft": ("created_at",),
    "Voting": ("vote_deadline_epoch",),
    "Queued": ("queued_at", "activation_epoch"),
    "Timelocked": ("ready_epoch",),
    "Executed": ("tx_hash", "executed_at"),
    "Finalized": ("tx_hash", "executed_at", "finalized_at"),
    "RolledBack": ("reason", "rolled_back_at", "prior_tx"),
}
STATES = tuple(_FIELD_ORDER)


def whole(number: int | float) -> int:
    """A u64 as the node reads it: 5.0 is 5. The contract has already refused everything else."""
    return number if type(number) is int else min(int(number), U64_MAX)


def why_invalid(proposal: dict[str, Any], details: dict[str, Any]) -> str | None:
    """The first rule that a payload breaks, in the node's words and order."""
    destination, amount, receipts = details["destination"], details["amount"], details["expected_receipts"]
    if not destination.strip():
        return "invalid destination address: empty destination"
    if not destination.startswith("tb1"):
        return f"invalid destination address: address must start with 'tb1', got: {destination}"
    if not amount:
        return "disbursement amount must be greater than zero"
    if not details["scheduled_epoch"]:
        return "scheduled epoch must be greater than zero"
    if (size := len(details["memo"].encode())) > MAX_MEMO:
        return f"memo length {size} exceeds maximum treasury memo size of {MAX_MEMO} bytes"
    if receipts and (total := sum(receipt["amount"] for receipt in receipts)) != amount:
        return f"expected receipts total {total} does not match disbursement amount {amount}"
    if not proposal["title"].strip():
        return "disbursement title cannot be empty"
    if not proposal["summary"].strip():
        return "disbursement summary cannot be empty"
    if max(proposal["quorum"].values()) > MAX_PPM:
        return f"quorum percentages must be between 0 and {MAX_PPM} ppm"
    if not proposal["vote_window_epochs"]:
        return "vote window must be at least 1 epoch"
    if not proposal["timelock_epochs"]:
        return "timelock must be at least 1 epoch"
    if not proposal["rollback_window_epochs"]:
        return "rollback window must be at least 1 epoch"
    return None


def proposal_from(given: dict[str, Any] | None) -> dict[str, Any]:
    """With the node's defaults: the windows are 4, 2 and 1 epochs, but 0 when there is no proposal at all."""
    windows = (4, 2, 1) if given is not None else (0, 0, 0)
    given = given or {}
    quorum = given.get("quorum") or {}
    return {
        "attachments": [{"name": a.get("name", ""), "uri": a.get("uri", "")} for a in given.get("attachments", ())],
        "deps": ordered([whole(number) for number in given.get("deps", ())]),
        "quorum": {
            "builders_ppm": whole(quorum.get("builders_ppm", 0)),
            "operators_ppm": whole(quorum.get("operators_ppm", 0)),
        },
        "rollback_window_epochs": whole(given.get("rollback_window_epochs", windows[2])),
        "summary": given.get("summary", ""),
        "timelock_epochs": whole(given.get("timelock_epochs", windows[1])),
        "title": given.get("title", ""),
        "vote_window_epochs": whole(given.get("vote_window_epochs", windows[0])),
    }


def details_from(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "amount": whole(given.get("amount", 0)),
        "destination": given.get("destination", ""),
        "expected_receipts": receipts_from(given.get("expected_receipts", ())),
        "memo": given.get("memo", ""),
        "scheduled_epoch": whole(given.get("scheduled_epoch", 0)),
    }


def receipts_from(given: Any) -> list[dict[str, Any]]:
    return [{"account": r.get("account", ""), "amount": whole(r.get("amount", 0))} for r in given]


def submit(new: int, proposal: dict[str, Any] | None, details: dict[str, Any], now: int) -> list[ev.Event]:
    """A draft, and its history entry: the node writes `Queued` here, not when the state becomes Queued."""
    return [
        ev.Submitted(new, now, {**details, "proposal": proposal}),
        ev.BalanceMoved("Queued", 0, new, now),
    ]


def advance(entry: Entry, epoch: int, now: int) -> list[ev.Event]:
    """One step at most. A settled or timelocked disbursement stays as it is, which is no error."""
    record = entry["disbursement"]
    id_, proposal = record["id"], record["proposal"]
    if proposal is None:
        raise Refused("disbursement missing proposal metadata; cannot advance state")
    ((name, fields),) = record["status"].items()
    if name == "Draft":
        deadline = min(epoch + proposal["vote_window_epochs"], U64_MAX)
        return [ev.StatusSet(id_, {"Voting": {"vote_deadline_epoch": deadline}}, now)]
    if name == "Voting":
        if epoch < (deadline := fields["vote_deadline_epoch"]):
            raise Refused(f"vote window for disbursement {id_} open until epoch {deadline}")
        activation = min(epoch + proposal["timelock_epochs"], U64_MAX)
        return [ev.StatusSet(id_, {"Queued": {"activation_epoch": activation, "queued_at": now}}, now)]
    if name == "Queued":
        if epoch < (activation := fields["activation_epoch"]):
            raise Refused(f"disbursement {id_} timelock expires at epoch {activation}")
        return [ev.StatusSet(id_, {"Timelocked": {"ready_epoch": epoch}}, now)]
    return []


def execute(entry: Entry, counter: int, tx_hash: str, receipts: list[dict[str, Any]], now: int) -> list[ev.Event]:
    """Two events: the state, then the counter. A crash between them is a crash point of the executor."""
    record, name = entry["disbursement"], status_name(entry)
    id_ = record["id"]
    if name == "Draft" and record["proposal"] is not None:
        raise Refused(f"disbursement {id_} requires governance approval; advance through voting first")
    if name == "Queued":
        raise Refused(f"disbursement {id_} still timelocked; advance state before execution")
    if name not in ("Draft", "Timelocked"):
        raise Refused(f"cannot execute disbursement {id_} from status {debug(record['status'])}")
    if counter < record["amount"]:
        raise Refused(f"treasury balance insufficient for disbursement {id_}")
    return [
        ev.StatusSet(id_, {"Executed": {"executed_at": now, "tx_hash": tx_hash}}, now, receipts),
        ev.BalanceMoved("Executed", -record["amount"], id_, now),
    ]


def roll_back(entry: Entry, reason: str, now: int) -> list[ev.Event]:
    """From every state. A paid one is credited to the counter only: no coins come back."""
    record = entry["disbursement"]
    id_ = record["id"]
    ((name, fields),) = record["status"].items()
    paid = name in ("Executed", "Finalized")
    status = {"prior_tx": fields["tx_hash"] if paid else None, "reason": reason, "rolled_back_at": now}
    return [
        ev.StatusSet(id_, {"RolledBack": status}, now),
        ev.BalanceMoved("Cancelled", record["amount"] if paid else 0, id_, now),
    ]


def debug(status: dict[str, Any]) -> str:
    """A status as the node prints it into messages: `Queued { queued_at: 1, activation_epoch: 4 }`."""
    ((name, fields),) = status.items()
    shown = ", ".join(f"{field}: {_debug_value(field, fields[field])}" for field in _FIELD_ORDER[name])
    return f"{name} {{ {shown} }}"


def _debug_value(field: str, value: Any) -> str:
    if field == "prior_tx":
        return "None" if value is None else f"Some({_quoted(value)})"
    return _quoted(value) if isinstance(value, str) else str(value)


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def _quoted(text: str) -> str:
    shown = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text)
    return f'"{"".join(shown)}"'
