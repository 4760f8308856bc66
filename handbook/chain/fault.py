"""One fault: what is broken for an alert, how it shows in a metric, and how it is mended.

Thresholds are the shipped ones: where one is a time, the node's clock or a file's date is moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from handbook.chain.host import Host
from handbook.chain.lane import Lane, Setup

L = TypeVar("L", Lane, Host)


def nothing(lane: Any, made: Any) -> None:
    """Mends what goes by itself."""


@dataclass(frozen=True)
class Fault(Generic[L]):
    """`shows` is PromQL with `$node` for the lane's label; it has a result once the fault is in the metrics.

    `prepare` makes the healthy state and may return what the other two need. `also` are the alerts that the fault may
    raise beside its own; `mock` the mock node's faults that it uses.
    """

    alert: str
    what: str
    shows: str
    inject: Callable[[L, Any], None]
    mend: Callable[[L, Any], None]
    prepare: Callable[[L], Any] = lambda lane: None
    setup: Setup | None = field(default_factory=Setup)
    """None for a fault of a host."""
    also: frozenset[str] = frozenset()
    mock: frozenset[str] = frozenset()
