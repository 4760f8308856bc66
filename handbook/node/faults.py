"""What an operator may break on purpose: a kind, and a rule for which calls it hits.

A fault stands until it has hit `times` times, or is cleared. Chance is drawn from the state's `random_seed`, the
fault's number and the count of what matched: the same seed, faults and calls give the same hits.

Faults are in memory: a start has none, so that a node that crashed at a fault does not crash again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from handbook.node.deviations import SWITCHES

CRASH_POINTS = {
    "before_stage": "dies when the payment is signed, before the intent is stored",
    "after_stage": "dies when the intent is stored, before the payment is sent",
    "after_submit": "dies when the payment is in the mempool, before the disbursement is marked",
    "after_mark": "dies when the disbursement is Executed, before the counter is debited",
    "after_event": "dies when the counter is debited, before the intent is removed",
}
COMMIT_POINTS = {
    "crash_before_commit": "dies at a commit: nothing of its batch is stored, and nobody was answered",
    "crash_after_commit": "dies at a commit: its batch is stored, but nobody was answered",
    "torn_log_line": "dies at a commit and leaves half of its last page in the log, as a power cut can",
}
STORAGE = {
    "disk_full": "commits fail until the fault is cleared; reads go on",
    "storage_error": "a commit fails: nothing of its batch is stored",
}
UNDONE = {
    "close": "closes the connection without an answer; the call is not done",
    "error": "answers with `code` and `message`; the call is not done",
    "http_status": "answers with HTTP `status` and no body; the call is not done",
}
DONE = {
    "drop_answer": "does the call, stores it, then closes the connection without an answer",
    "reset": "does the call, stores it, then resets the connection (RST)",
    "slow_body": "sends the body at `bytes_per_second`",
    "truncated_body": "announces the whole body, sends its first `bytes` (half without it), then closes",
}
DELAY = {"delay": "holds the answer for `milliseconds`, plus up to `jitter` more"}
CONDITIONS = {
    "clock_skew": "the node's clock is off by `seconds`, and by `drift` microseconds more per second",
    "fee_pressure": "the mempool asks `price` per byte; the executor still pays the static minimum",
    "history_unwritten": "a submission is stored, its entry in the history is not: it is answered with -32092",
    "mempool_full": "the mempool refuses every payment",
}
WIRE = {**UNDONE, **DONE, **DELAY}
KINDS = {**CRASH_POINTS, **COMMIT_POINTS, **STORAGE, **WIRE, **CONDITIONS, **SWITCHES}
LASTING = frozenset({"disk_full", "clock_skew", *SWITCHES})
"""Stand until they are cleared, unless `times` says otherwise."""

TAKES: dict[str, tuple[str, ...]] = {
    "clock_skew": ("seconds", "drift"),
    "delay": ("milliseconds", "jitter"),
    "error": ("code", "message"),
    "fee_pressure": ("price",),
    "http_status": ("status",),
    "slow_body": ("bytes_per_second",),
    "truncated_body": ("bytes",),
}
"""What a kind takes beside its rule: the first is required, except for `truncated_body`."""
OPTIONAL = frozenset({"bytes", "drift", "jitter", "message"})


@dataclass
class Fault:
    """`times` is what is left of it, None is for ever; `seen` counts what matched the rule since it was added."""

    id: int
    fault: str
    times: int | None
    method: str | None = None
    nth: int = 1
    probability: float = 1.0
    seen: int = 0
    hits: int = 0
    since: int = 0
    milliseconds: int | None = None
    jitter: int | None = None
    code: int | None = None
    message: str | None = None
    status: int | None = None
    bytes: int | None = None
    bytes_per_second: int | None = None
    price: int | None = None
    seconds: int | None = None
    drift: int | None = None

    def shown(self) -> dict[str, Any]:
        plain = {"nth": 1, "probability": 1.0, "seen": 0, "hits": 0, "since": 0}
        return {
            name: value
            for name, value in asdict(self).items()
            if name == "times" or (value is not None and value != plain.get(name))
        }

    def matches(self, kind: str, method: str | None) -> bool:
        return self.fault == kind and (self.method is None or fnmatchcase(method or "", self.method))

    def draw(self, seed: int, what: str) -> float:
        """A number from 0 to 1 for the call that was seen last."""
        digest = sha256(f"{seed}/{self.id}/{self.seen}/{what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


class Faults:
    """`struck` is what took effect and no journal entry has claimed yet: `[kind, …]`, in order."""

    def __init__(self) -> None:
        self._next = 1
        self.standing: list[Fault] = []
        self.struck: list[str] = []

    def add(self, fault: str, times: int | None, **rest: Any) -> Fault:
        new = Fault(self._next, fault, times, **rest)
        self._next += 1
        self.standing.append(new)
        return new

    def strike(self, kind: str, seed: int, method: str | None = None) -> Fault | None:
        """The oldest whose rule this call (or moment) meets; one of its times is used. Every match is counted."""
        hit = None
        for fault in list(self.standing):
            if not fault.matches(kind, method):
                continue
            fault.seen += 1
            if hit or fault.seen < fault.nth or fault.draw(seed, "hit") >= fault.probability:
                continue
            hit = fault
            fault.hits += 1
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.standing.remove(fault)
        return hit

    def claim(self) -> tuple[str, ...]:
        """What struck since the last claim."""
        if not self.struck:
            return ()
        struck, self.struck = tuple(dict.fromkeys(self.struck)), []
        return struck

    def skew(self, now: int) -> int:
        """Seconds that the clock is off at `now`, the true second."""
        return sum(
            (fault.seconds or 0) + (now - fault.since) * (fault.drift or 0) // 1_000_000
            for fault in self.standing
            if fault.fault == "clock_skew"
        )

    def clear(self, id_: int | None = None) -> int:
        """How many went."""
        before = len(self.standing)
        self.standing = [fault for fault in self.standing if id_ is not None and fault.id != id_]
        return before - len(self.standing)
