"""The metrics, as Prometheus text. Its own writer: prometheus-client costs 34 ms at start and registers globally.

Two kinds live here. The node's own series appear when the node would first set them (13 executor and breaker series,
the limiter's). The contract's series are there from the start, at 0: `governance_disbursements_total`,
`treasury_balance`, `treasury_disbursement_backlog`, `treasury_disbursement_lag_seconds`, `oracle_latency_seconds`,
and the mock's `mock_*`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from handbook.node.state import status_name

if TYPE_CHECKING:
    from handbook.node.node import Node

LABELS = {
    "Draft": "draft",
    "Voting": "voting",
    "Queued": "queued",
    "Timelocked": "timelocked",
    "Executed": "executed",
    "Finalized": "finalized",
    "RolledBack": "rolled_back",
}
STATUS_LABELS = (*LABELS.values(), "other")
LAG_BUCKETS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400)
ORACLE_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300)

HELP = {
    "governance_disbursements_total": "Disbursements that entered a state since the process started",
    "mock_events_total": "Events appended to the log since the process started",
    "mock_faults_injected_total": "Faults that took effect",
    "mock_requests_total": "Requests answered or dropped",
    "oracle_latency_seconds": "Age of a meter reading when it is submitted",
    "rpc_bans_total": "Clients banned by the limiter",
    "rpc_client_error_total": "Refusals by the limiter: 2000 rate limited, 2001 banned",
    "rpc_rate_limit_attempt_total": "Requests that the limiter looked at",
    "rpc_rate_limit_reject_total": "Requests that the limiter refused",
    "rpc_tokens_available": "Tokens left to a client after its last call",
    "treasury_balance": "The governance counter, in BLOCK units",
    "treasury_circuit_breaker_failures": "Failed submissions in a row",
    "treasury_circuit_breaker_state": "0 closed, 1 open, 2 half-open",
    "treasury_circuit_breaker_successes": "Successes since half-open",
    "treasury_disbursement_backlog": "Stored disbursements by state",
    "treasury_disbursement_lag_seconds": "Seconds from Queued to Executed; without a vote, from creation",
    "treasury_executor_errors_total": "Ticks that ended with a submission error, by its text",
    "treasury_executor_last_error_seconds": "Unix second of the last error, 0 when none",
    "treasury_executor_last_submitted_nonce": "Nonce of the last payment",
    "treasury_executor_last_success_seconds": "Unix second of the last tick without an error",
    "treasury_executor_last_tick_seconds": "Unix second of the last complete tick",
    "treasury_executor_lease_last_nonce": "Nonce watermark of the lease",
    "treasury_executor_lease_released": "1 when the lease was given back",
    "treasury_executor_pending_matured": "Disbursements due in the last complete tick",
    "treasury_executor_result_total": "Disbursements the executor dealt with, and ticks with an error",
    "treasury_executor_staged_intents": "Signed payments that are stored",
}


class Tally:
    """A counter with one label. Values that were named at the start are shown at 0."""

    def __init__(self, label: str, values: Iterable[str] = ()) -> None:
        self.label = label
        self.counts = dict.fromkeys(values, 0)

    def add(self, value: str, by: int = 1) -> None:
        self.counts[value] = self.counts.get(value, 0) + by


class Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Metrics:
    """What happened since the process started or was reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.requests = {"control": 0, "rpc": 0}
        self.events = 0
        self.faults = Tally("fault")
        self.transitions = Tally("status", STATUS_LABELS)
        self.lag = Histogram(LAG_BUCKETS)
        self.queued_at: dict[int, int] = {}
        """Of disbursements on their way; one that was queued before a restart has no lag."""
        self.oracle = Histogram(ORACLE_BUCKETS)
        self.gauges: dict[str, int] = {}
        self.results = Tally("result")
        self.errors = Tally("reason")
        self.limiter_attempts = self.limiter_rejects = self.limiter_bans = 0
        self.client_errors = Tally("code")


def render(node: Node) -> str:
    """The whole scrape, families in alphabetical order."""
    m, state = node.metrics, node.state
    families = [
        _tally("governance_disbursements_total", m.transitions),
        _family("mock_requests_total", "counter", {f'{{listener="{name}"}}': n for name, n in m.requests.items()}),
        _family("mock_events_total", "counter", {"": m.events}),
        _tally("mock_faults_injected_total", m.faults),
        _tally("rpc_client_error_total", m.client_errors),
        _tally("treasury_executor_errors_total", m.errors),
        _tally("treasury_executor_result_total", m.results),
        _family("treasury_balance", "gauge", {"": state.counter}),
        _family("treasury_disbursement_backlog", "gauge", _backlog(node)),
        _family("rpc_tokens_available", "gauge", {f'{{client="{a}"}}': n for a, n in node.limiter.tokens().items()}),
        _histogram("treasury_disbursement_lag_seconds", m.lag),
        _histogram("oracle_latency_seconds", m.oracle),
        *(_family(name, "gauge", {"": value}) for name, value in m.gauges.items()),
    ]
    limiter = {"attempt": m.limiter_attempts, "reject": m.limiter_rejects}
    families += [_family(f"rpc_rate_limit_{what}_total", "counter", {"": n}) for what, n in limiter.items() if n]
    if m.limiter_bans:
        families.append(_family("rpc_bans_total", "counter", {"": m.limiter_bans}))
    return "".join(sorted(filter(None, families)))


def _family(name: str, kind: str, samples: Mapping[str, float]) -> str:
    """Empty when there is nothing to show: the node's series do not exist before they are first set."""
    if not samples:
        return ""
    shown = "".join(f"{name}{labels} {value}\n" for labels, value in samples.items())
    return f"# HELP {name} {HELP[name]}\n# TYPE {name} {kind}\n{shown}"


def _tally(name: str, tally: Tally) -> str:
    return _family(name, "counter", {f'{{{tally.label}="{_escaped(v)}"}}': n for v, n in tally.counts.items()})


def _histogram(name: str, histogram: Histogram) -> str:
    samples: dict[str, float] = {}
    running = 0
    for bound, count in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        running += count
        samples[f'_bucket{{le="{bound}"}}'] = running
    samples["_sum"] = histogram.sum
    samples["_count"] = running
    return _family(name, "histogram", samples)


def _backlog(node: Node) -> dict[str, int]:
    counts = dict.fromkeys(STATUS_LABELS, 0)
    for entry in node.state.records.values():
        counts[LABELS[status_name(entry)]] += 1
    return {f'{{status="{label}"}}': count for label, count in counts.items()}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
