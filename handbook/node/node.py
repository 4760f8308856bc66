"""The one node: its state and log, its clock, and everything a method acts on.

In memory only: boot id, journal, metrics, faults.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

import msgspec

from handbook.node import counting, dying, settings
from handbook.node import events as ev
from handbook.node.apply import apply
from handbook.node.config import Config
from handbook.node.contract import Contract
from handbook.node.deviations import BUILDS
from handbook.node.executor import Executor
from handbook.node.exposition import Metrics
from handbook.node.failure import CommitFailed, LogLost, StartFailure
from handbook.node.faults import Fault, Faults
from handbook.node.gate import Gate
from handbook.node.journal import Journal
from handbook.node.limiter import Limiter
from handbook.node.lock import lock
from handbook.node.log import EventLog
from handbook.node.miner import Miner
from handbook.node.peers import Peers
from handbook.node.state import Bucket, State

REHEARSAL_IDENTITY = "node-a"
"""Lease holder of an executor that the control listener starts: the node's own default holds a process id."""

TELEMETRY = 1_000_000, 60
"""Sample rate in parts per million and seconds between compactions, as a start sets them."""


class Node:
    """`record` changes the state at once; `commit` makes it durable.

    Between the two, `dirty` is true and no answer may leave.
    """

    def __init__(self, config: Config) -> None:
        config.check()
        self.config = config
        self.contract = Contract()
        self.deviations: set[str] = set(BUILDS[config.build])
        """What this node does otherwise than the contract, by name."""
        self._lock = lock(config.data_dir)
        try:
            self.settings = settings.load(config.data_dir, "config_replaced" in self.deviations)
            self.log = EventLog(config.data_dir / "node.sqlite")
        except StartFailure:
            self._lock.close()
            raise
        self.state = self.log.state
        if "torn_refused" in self.deviations and self.state.crashed == dying.TORN:
            self.log.db.close()
            self._lock.close()
            raise dying.refused(config)
        self.boot_id = secrets.token_hex(8)
        self.metrics = Metrics(self.deviations)
        self.journal = Journal()
        self.limiter = Limiter(config.limits, self.metrics)
        self.gate = Gate(self.settings, config.energy_rates, config.limits, self.metrics, self.deviates)
        self.faults = Faults()
        self.peers = Peers(self)
        self.poisoned = False
        """The chain lock: true after `light.latest_header` on an empty chain, until a restart."""
        self.sample_rate_ppm, self.compaction_secs = TELEMETRY
        """What `telemetry.configure` set; nothing here is sampled."""
        self.executor: Executor | None = None
        self.miner = Miner(self)
        self.on_change: Callable[[], None] = lambda: None
        """Called when the first uncommitted event appears."""
        self.uncommitted: list[ev.Event] = []
        self._begin(config.treasury_balance if not self.log.seq else None, config.clock)
        if "market_lost" in self.deviations and self.state.energy.keys:
            self.record(ev.MarketLost())
        dying.confess(self)
        self.commit()
        if config.treasury_executor:
            self.start_executor("timer")

    @property
    def dirty(self) -> bool:
        return bool(self.uncommitted)

    @property
    def pending(self) -> int:
        """Events that are not committed yet."""
        return len(self.uncommitted)

    @property
    def submits_waiting(self) -> bool:
        """Whether a submission is in the batch that is not committed yet."""
        return any(type(event) is ev.Submitted for event in self.uncommitted)

    def now(self) -> int:
        """The node's clock in Unix seconds, off by what `clock_skew` says: for times that a call stamps or judges."""
        true = self.true_now()
        now = self._skewed(true)
        if now != true:
            self.hit("clock_skew")
        return now

    def clock(self) -> int:
        """The same, for showing it: no call is affected."""
        return self._skewed(self.true_now())

    def _skewed(self, true: int) -> int:
        """Of one reading of the true clock: a second one may already be in the next second."""
        return max(true + self.faults.skew(true), 0) if self.faults.standing else true

    def true_now(self) -> int:
        """The clock as the control listener set it."""
        frozen = self.state.frozen
        return frozen if frozen is not None else int(time.time()) + self.state.offset

    def strike(self, kind: str, method: str | None = None) -> Fault | None:
        """The fault of this kind that takes effect here, if one does: counted, and kept for the journal."""
        if not self.faults.standing:
            return None
        fault = self.faults.strike(kind, self.state.random_seed, method)
        if fault:
            self.metrics.faults.add(kind)
            self.faults.struck.append(kind)
        return fault

    def deviates(self, name: str) -> bool:
        """Whether this node does otherwise than the contract in this; asked where it makes a difference to a call."""
        if name not in self.deviations:
            return False
        self.hit(name)
        return True

    def hit(self, kind: str) -> None:
        """Something that stands until it is cleared shows in the call at hand: counted once a call."""
        if kind not in self.faults.struck:
            self.metrics.faults.add(kind)
            self.faults.struck.append(kind)

    def record(self, *events: ev.Event) -> None:
        if not self.uncommitted:
            self.on_change()
        for event in events:
            apply(self.state, event)
        self.uncommitted += events
        if self.state.mempool and (more := self.miner.due()):
            self.record(*more)

    def commit(self) -> None:
        """Stores what was recorded. Raises CommitFailed; then `rebuild` is the only way on. Raises LogLost."""
        events = self.uncommitted
        if not events:
            return
        if self.faults.standing:
            dying.at_commit(self)
            events = self.uncommitted
        self.log.append([ev.encode(event) for event in events], self.state)
        self.uncommitted = []
        if self.state.crashed:
            dying.die(self)
        if self.executor:
            self.executor.unstored = False
        counting.count(self.metrics, self.state, events)
        self.peers.committed()

    def crash(self, fault: str) -> None:
        """Stores what was recorded, and that the process dies of `fault`; then dies as `kill -9` would."""
        dying.crash(self, fault)

    def rebuild(self) -> None:
        """Forgets what was not committed: the state is what the log says. Raises LogLost if it cannot be read."""
        self.uncommitted = []
        try:
            self.state = self.log.reload()
        except StartFailure as failure:
            raise LogLost(str(failure)) from None
        self.miner.follow()
        if self.executor and self.executor.unstored:
            self.executor.end("treasury storage error")

    def restore_deviations(self) -> None:
        """Those of the build."""
        self.deviations.clear()
        self.deviations |= BUILDS[self.config.build]

    def jump(self, to: Callable[[EventLog], State]) -> None:
        """Takes up a state from a snapshot or a dump. Raises CommitFailed, Unusable; then nothing has changed.

        An executor starts anew on it, as after a restart of the node.
        """
        self.commit()
        self.state = state = to(self.log)
        self._limit(state.limiters)
        state.limiters = {}
        self.poisoned = False
        self.metrics.events += 1
        self.miner.follow()
        self.peers.own()
        if old := self.executor:
            self.start_executor(old.mode, old.identity, old.lease_seconds, old.poll_seconds)

    def whole(self) -> State:
        """The state, and what the limiters remember of their clients."""
        now = time.monotonic()
        buckets = {name: limiter.buckets(now) for name, limiter in self._limiters().items()}
        return msgspec.structs.replace(self.state, limiters={name: kept for name, kept in buckets.items() if kept})

    def _limit(self, buckets: dict[str, list[Bucket]]) -> None:
        now = time.monotonic()
        for name, limiter in self._limiters().items():
            limiter.restore(buckets.get(name, []), now)

    def _limiters(self) -> dict[str, Limiter]:
        return {"rpc": self.limiter, **self.gate.limiters}

    def reset(self, balance: int, clock: int | None, height: int, executor: str) -> None:
        """A fresh node in the same process; the boot id stays. Raises CommitFailed."""
        try:
            self.state = self.log.start_over()
        except CommitFailed:
            self.rebuild()
            raise
        self.uncommitted = []
        self.stop_executor()
        self.poisoned = False
        self.faults = Faults()
        self.sample_rate_ppm, self.compaction_secs = TELEMETRY
        self.miner.follow()
        self.restore_deviations()
        self.metrics.clear()
        self.journal.clear()
        self._limit({})
        self._begin(balance or None, clock)
        if height:
            self.record(ev.HeightSet(height))
        self.commit()
        self.metrics.clear()
        if executor != "off":
            self.start_executor(executor)

    def start_executor(
        self, mode: str, identity: str | None = None, lease: int | None = None, poll: int | None = None
    ) -> None:
        """Starts the executor's thread anew, or hands a living one to the other mode."""
        config = self.config
        if not (identity := identity or config.treasury_executor_id):
            identity = f"treasury-{os.getpid()}" if config.treasury_executor else REHEARSAL_IDENTITY
        self.stop_executor(keep_lease=True)
        self.executor = Executor(
            self, mode, identity, lease or config.treasury_executor_lease, poll or config.treasury_poll_interval
        )

    def stop_executor(self, keep_lease: bool = False) -> None:
        if self.executor:
            self.executor.stop(release=not keep_lease)
        self.executor = None

    def close(self) -> None:
        """An orderly stop. The lease stays, as it does on the node, which is killed by any signal."""
        self.miner.stop()
        self.peers.stop()
        self.stop_executor(keep_lease=True)
        self.log.close(self.state)
        self._lock.close()

    def _begin(self, balance: int | None, clock: int | None) -> None:
        if self.config.keep_all != self.state.keep_all:
            self.record(ev.RetentionSet(self.config.keep_all))
        if clock is not None and clock != self.state.frozen:
            self.record(ev.ClockSet(clock, 0))
        if balance:
            self.record(ev.BalanceMoved("Accrual", balance, None, self.now()))
