"""What a committed event does to the metrics."""

from __future__ import annotations

from collections.abc import Iterable

from handbook.node import events as ev
from handbook.node.exposition import LABELS, Metrics
from handbook.node.state import MAX_RECORDS, State


def count(metrics: Metrics, state: State, events: Iterable[ev.Event]) -> None:
    """`state` is what it is after all of them."""
    for event in events:
        metrics.events += 1
        if type(event) is ev.Submitted:
            metrics.add("governance_disbursements_total", "draft")
        elif type(event) is ev.StatusSet:
            name = next(iter(event.status))
            metrics.add("governance_disbursements_total", LABELS[name])
            _lag(metrics, state, event, name)


def _lag(metrics: Metrics, state: State, event: ev.StatusSet, name: str) -> None:
    """From Queued to Executed, as the node's own (dead) metric is described; restarts forget when."""
    started = metrics.queued_at
    if name == "Queued":
        started[event.id] = event.at
        if len(started) > MAX_RECORDS:
            del started[next(iter(started))]
    elif name in ("Executed", "RolledBack"):
        entry = state.records.get(event.id)
        if entry and entry["disbursement"]["proposal"] is None:
            started.setdefault(event.id, entry["disbursement"]["created_at"])
        if (since := started.pop(event.id, None)) is not None and name == "Executed":
            metrics.observe("treasury_disbursement_lag_seconds", event.at - since)
