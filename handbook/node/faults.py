"""What an operator may break on purpose. A fault stands until it has taken effect `times` times, or is cleared.

`after_*` are crash points of the executor: the process kills itself there, as `kill -9` would.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CRASH_POINTS = {
    "after_stage": "dies when the intent is stored, before the payment is sent",
    "after_submit": "dies when the payment is in the mempool, before the disbursement is marked",
    "after_mark": "dies when the disbursement is Executed, before the counter is debited",
    "after_event": "dies when the counter is debited, before the intent is removed",
}
CONDITIONS = {
    "delay": "holds the answer for `milliseconds`",
    "drop_answer": "does the call, stores it, then closes the connection without an answer",
    "fee_pressure": "the mempool asks `price` per byte; the executor still pays the static minimum",
    "mempool_full": "the mempool refuses every payment",
    "storage_error": "the next commit fails: nothing of its batch is stored",
}
KINDS = {**CRASH_POINTS, **CONDITIONS}


@dataclass
class Fault:
    """`method` limits `delay` and `drop_answer` to one method. `times` is what is left of it; None is for ever."""

    id: int
    fault: str
    times: int | None
    method: str | None = None
    milliseconds: int | None = None
    price: int | None = None

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None or name == "times"}


class Faults:
    def __init__(self) -> None:
        self._next = 1
        self.standing: list[Fault] = []

    def add(self, fault: str, times: int | None, **rest: Any) -> Fault:
        new = Fault(self._next, fault, times, **rest)
        self._next += 1
        self.standing.append(new)
        return new

    def find(self, kind: str, method: str | None = None) -> Fault | None:
        """The oldest that applies, without using it up."""
        for fault in self.standing:
            if fault.fault == kind and (fault.method is None or fault.method == method):
                return fault
        return None

    def take(self, kind: str, method: str | None = None) -> Fault | None:
        """The oldest that applies; one of its times is used."""
        fault = self.find(kind, method)
        if fault and fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self.standing.remove(fault)
        return fault

    def clear(self, id_: int | None = None) -> int:
        """How many went."""
        before = len(self.standing)
        self.standing = [fault for fault in self.standing if id_ is not None and fault.id != id_]
        return before - len(self.standing)
