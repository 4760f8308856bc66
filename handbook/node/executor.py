"""The treasury executor as the node codes it: lease, tick, circuit breaker. Its hazards are kept; drills prove them.

A storage failure ends the thread: silently, and for good until a restart; the lease is given back and the last
snapshot stays. A tick that ends early leaves every gauge but one where it was. At a crash point the process commits
what the tick has done so far and kills itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from handbook.node import chain, forks, lifecycle, records
from handbook.node import events as ev
from handbook.node.breaker import Breaker
from handbook.node.dependencies import MAX_MEMO
from handbook.node.failure import Refused, Unreadable
from handbook.node.state import BARE_DRAFT, MARKS, Entry, status_name

if TYPE_CHECKING:
    from handbook.node.node import Node

WAITING = frozenset({"Draft", "Voting", "Queued", "Timelocked"})
"""States in which a dependency holds others back.

RolledBack is not one of them: a cancelled dependency lets them go.
"""


PAYABLE = MARKS["Queued"] | MARKS["Timelocked"] | BARE_DRAFT
"""Marks of what a tick may pay."""


class _StorageFailure(Exception):
    """Ends the thread."""


class _SigningFailure(Exception):
    """Ends the tick; the same record is tried again in the next."""


class Executor:
    """One thread of the node; here a timer, or ticks on command.

    `ended` says why it stopped, which the node tells nobody.
    """

    def __init__(self, node: Node, mode: str, identity: str, lease: int, poll: int) -> None:
        self._node, self.mode, self.identity = node, mode, identity
        self.lease_seconds, self.poll_seconds = max(lease, 5), max(poll, 1)
        self.alive = True
        self.ended: str | None = None
        self.unstored = False
        self._breaker = Breaker()
        self._snapshot = node.state.tick or ev.TickStored(0, None, None, None, 0, 0, None)
        self._timer: asyncio.TimerHandle | None = None

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ticks now and every poll interval of real time."""
        self.tick()
        node = self._node
        if struck := node.faults.claim():
            node.journal.add(node.clock(), "executor", None, b"").faults = struck
        if self.alive:
            self._timer = loop.call_later(self.poll_seconds, self.run, loop)

    def stop(self, release: bool) -> None:
        if self._timer:
            self._timer.cancel()
        if release and self.alive:
            self._release()
        self.alive = False

    def tick(self) -> str:
        """What came of it, in a word or the node's own error text."""
        if not self.alive:
            return f"ended: {self.ended}"
        self.unstored = True
        try:
            return self._tick()
        except _SigningFailure as failure:
            self._store_error(str(failure), self._snapshot.pending_matured, self._snapshot.staged_intents)
            return f"error: {failure}"
        except (_StorageFailure, Unreadable) as failure:
            self.end(getattr(failure, "reason", None) or str(failure))
            return f"ended: {self.ended}"

    def end(self, why: str) -> None:
        self.alive, self.ended = False, why
        self._release()

    def shown(self) -> dict[str, Any]:
        return {"alive": self.alive, "ended": self.ended, "identity": self.identity, "mode": self.mode}

    def _tick(self) -> str:
        node, state, now = self._node, self._node.state, self._node.now()
        acquired, lease = self._renew(now)
        node.metrics.gauges["treasury_executor_lease_released"] = int(lease.released)
        if not acquired:
            return self._early(f"lease_held_by {lease.holder}")
        if node.poisoned:
            raise _StorageFailure("blockchain lock poisoned")
        if not self._breaker.allows(now):
            return self._early("circuit_breaker_open state=Open")
        counts = {"success": 0, "cancelled": 0}
        pending, error = 0, None
        for entry in records.oldest_first(node, PAYABLE):
            if not self._due(entry):
                continue
            pending += 1
            try:
                counts[self._pay(entry, now)] += 1
            except chain.Rejected as rejected:
                self._breaker.failed(now)
                error = str(rejected)
        staged = len(state.intents)
        if error is None:
            self._store(last_tick_at=now, last_success_at=now, last_error_at=None, last_error=None,
                        pending_matured=pending, staged_intents=staged)  # fmt: skip
        else:
            self._store_error(error, pending, staged)
        self._measure(counts, error)
        return "success" if error is None else f"error: {error}"

    def _due(self, entry: Entry) -> bool:
        """Whether a record is paid in this tick. A dependency that is not stored ends the thread."""
        record, name = entry["disbursement"], status_name(entry)
        if name not in ("Queued", "Timelocked") and not (name == "Draft" and record["proposal"] is None):
            return False
        state = self._node.state
        if record["scheduled_epoch"] > state.epoch:
            return False
        if len(record["memo"].encode()) > MAX_MEMO:
            raise _StorageFailure(f"disbursement {record['id']} memo exceeds maximum size")
        for id_ in entry["deps"]:
            dependency = state.records.get(id_)
            if dependency is None:
                raise _StorageFailure(f"dependency {id_} missing for disbursement {record['id']}")
            if status_name(dependency) in WAITING:
                return False
        return True

    def _pay(self, entry: Entry, now: int) -> str:
        """The payment first, the record after it: a store that refuses now has already let the coins go."""
        node, state, record = self._node, self._node.state, entry["disbursement"]
        id_ = record["id"]
        intent = state.intents.get(id_)
        if intent is None:
            intent = self._sign(record, now)
            self._crash("before_stage")
            node.record(intent)
        self._crash("after_stage")
        payment = ev.Admitted(
            chain.TREASURY, intent.tx_hash, intent.nonce, intent.to, intent.amount, intent.fee, now
        )  # fmt: skip
        try:
            node.record(chain.admit(state, payment, self._price()))
        except chain.Rejected as rejected:
            if not rejected.cancels:
                raise
            cancelled = records.written(node, id_, lifecycle.roll_back(entry, str(rejected), now))
            node.record(*cancelled, ev.IntentRemoved(id_))
            return "cancelled"
        self._crash("after_submit")
        try:
            *marked, moved = records.written(
                node, id_, lifecycle.execute(entry, state.counter, intent.tx_hash, [], now)
            )
        except Refused as refused:
            raise _StorageFailure(str(refused)) from None
        node.record(*marked)
        self._crash("after_mark")
        node.record(moved)
        self._crash("after_event")
        node.record(ev.IntentRemoved(id_))
        if state.lease and state.lease.holder == self.identity:
            node.record(msgspec.structs.replace(state.lease, last_nonce=intent.nonce))
        self._snapshot = msgspec.structs.replace(self._snapshot, last_submitted_nonce=intent.nonce)
        self._breaker.succeeded()
        return "success"

    def _sign(self, record: dict[str, Any], now: int) -> ev.IntentStaged:
        state = self._node.state
        if chain.TREASURY not in state.accounts:
            raise _SigningFailure("treasury account missing")
        nonce = chain.next_nonce(state, chain.TREASURY, (state.lease and state.lease.last_nonce) or 0)
        fee = self._node.config.min_fee_per_byte * chain.PAYMENT_BYTES
        if chain.available(state, chain.TREASURY) < record["amount"] + fee:
            raise _SigningFailure("insufficient treasury BLOCK balance")
        tx_hash = forks.digest("payment", record["id"], nonce, record["destination"], record["amount"], fee)
        return ev.IntentStaged(record["id"], tx_hash, nonce, record["destination"], record["amount"], fee, now)

    def _price(self) -> int:
        """What the mempool asks per byte. Only a minimum of exactly 1 lets the lane's own price through."""
        node = self._node
        if node.strike("mempool_full"):
            raise chain.Rejected("mempool full", 11)
        minimum = node.config.min_fee_per_byte
        if minimum == 1 and (fault := node.strike("fee_pressure")):
            return fault.price or minimum
        return minimum

    def _renew(self, now: int) -> tuple[bool, ev.LeaseSet]:
        lease = self._node.state.lease
        if lease and lease.expires_at > now and lease.holder != self.identity:
            return False, lease
        renewed = ev.LeaseSet(self.identity, now + self.lease_seconds, now, lease.last_nonce if lease else None, False)
        self._node.record(renewed)
        return True, renewed

    def _release(self) -> None:
        lease, now = self._node.state.lease, self._node.now()
        if lease and lease.holder == self.identity:
            self._node.record(ev.LeaseSet("", now, now, lease.last_nonce, True))

    def _early(self, error: str) -> str:
        self._store_error(error, 0, len(self._node.state.intents))
        return f"error: {error}"

    def _store_error(self, error: str, pending: int, staged: int) -> None:
        now = self._node.now()
        self._store(
            last_tick_at=now, last_error_at=now, last_error=error, pending_matured=pending, staged_intents=staged
        )

    def _store(self, **changed: Any) -> None:
        self._snapshot = msgspec.structs.replace(self._snapshot, **changed)
        self._node.record(self._snapshot)

    def _measure(self, counts: dict[str, int], error: str | None) -> None:
        metrics, seen, lease = self._node.metrics, self._snapshot, self._node.state.lease
        for name, value in {
            "treasury_circuit_breaker_state": self._breaker.state,
            "treasury_circuit_breaker_failures": self._breaker.failures,
            "treasury_circuit_breaker_successes": self._breaker.successes,
            "treasury_executor_pending_matured": seen.pending_matured,
            "treasury_executor_staged_intents": seen.staged_intents,
            "treasury_executor_last_tick_seconds": seen.last_tick_at,
            "treasury_executor_last_error_seconds": seen.last_error_at or 0,
            "treasury_executor_last_submitted_nonce": seen.last_submitted_nonce or 0,
            "treasury_executor_lease_last_nonce": (lease and lease.last_nonce) or 0,
        }.items():
            metrics.gauges[name] = value
        if seen.last_success_at:
            metrics.gauges["treasury_executor_last_success_seconds"] = seen.last_success_at
        for result, count in counts.items():
            if count:
                metrics.results.add(result, by=count)
        if error is not None:
            metrics.results.add("error")
            metrics.errors.add(error)

    def _crash(self, point: str) -> None:
        if self._node.strike(point):
            self._node.crash(point)
