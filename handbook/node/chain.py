"""The local chain, as far as payments need it: accounts, the mempool and blocks.

Mining rewards and fee prices do not exist.

A payment is priced as if it were 540 bytes long, the middle of what the node's transactions measure; its fee is that
times `TB_MIN_FEE_PER_BYTE_CONSUMER`.
"""

from __future__ import annotations

from handbook.node import events as ev
from handbook.node.forks import Account
from handbook.node.state import State

TREASURY = "treasury"
PAYMENT_BYTES = 540
CANCELLING = frozenset({1, 2, 4, 8, 9, 10, 14})
"""Admission codes after which the executor rolls a disbursement back; any other is an error to retry."""


class Rejected(Exception):
    """The mempool refuses a payment. The text is what the executor reports."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(f"{text} (code {code})")
        self.cancels = code in CANCELLING


def pending(state: State, account: str) -> tuple[int, set[int]]:
    """Coins that waiting payments of an account hold, and their nonces."""
    waiting = [payment for payment in state.mempool if payment.sender == account]
    return sum(payment.amount + payment.fee for payment in waiting), {payment.nonce for payment in waiting}


def next_nonce(state: State, name: str, floor: int) -> int:
    account = state.accounts[name]
    nonces = pending(state, name)[1]
    candidate = account.nonce + len(nonces) + 1
    while candidate in nonces:
        candidate += 1
    return max(candidate, floor + 1)


def available(state: State, name: str) -> int:
    return max(state.accounts[name].balance - pending(state, name)[0], 0)


def admit(state: State, payment: ev.Admitted, price: int) -> ev.Admitted:
    """The mempool's checks in the node's order. `price` is the least fee per byte."""
    held, nonces = pending(state, payment.sender)
    account = state.accounts.get(payment.sender)
    if payment.nonce in nonces:
        raise Rejected("duplicate transaction", 6)
    if account is None:
        raise Rejected("unknown sender", 1)
    if account.balance < held + payment.amount + payment.fee:
        raise Rejected("insufficient balance", 2)
    if payment.nonce != account.nonce + len(nonces) + 1:
        raise Rejected("nonce gap", 3)
    if payment.fee < price * PAYMENT_BYTES:
        raise Rejected("fee below minimum", 10)
    return payment


def stats(state: State, lane: str, now: int) -> dict[str, int]:
    """The `mempool.stats` of a lane; ages in milliseconds, fees per byte. Every payment is in the consumer lane."""
    waiting = state.mempool if lane != "industrial" else []
    ages = sorted(max(now - payment.at, 0) * 1000 for payment in waiting)
    fees = sorted(payment.fee // PAYMENT_BYTES for payment in waiting)
    return {
        "age_p50": _percentile(ages, 50),
        "age_p95": _percentile(ages, 95),
        "fee_floor": 0,
        "fee_p50": _percentile(fees, 50),
        "fee_p90": _percentile(fees, 90),
        "size": len(waiting),
    }


def balance(state: State, name: str) -> int:
    return state.accounts.get(name, Account()).balance


def _percentile(ordered: list[int], percent: int) -> int:
    return ordered[(len(ordered) - 1) * percent // 100] if ordered else 0
