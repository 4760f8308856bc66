"""The metrics, as Prometheus text. Its own writer: prometheus-client costs 34 ms at start and registers globally.

A series of the node appears when the node would first set it: at the start, in the executor's first whole tick, or
with the first event of its kind. The seed's metrics, which no build sets, are there from the start.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from handbook.node.families import FAMILIES
from handbook.node.series import Histogram, Samples, part_of, text

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
"""The value of `status` for a state of the wire."""
UNSET = frozenset(
    [
        "governance_disbursements_total",
        "oracle_latency_seconds",
        "treasury_balance",
        "treasury_disbursement_backlog",
        "treasury_disbursement_lag_seconds",
    ]
)
"""What build 0ecc756a never sets."""
CLIENTS = FAMILIES["rpc_tokens_available"]


class Metrics:
    """What happened since the process started or was reset.

    Plain numbers are what every call changes; `gauges` are those without a label, by name.
    """

    def __init__(self, deviations: Collection[str] = ()) -> None:
        self._deviations = deviations
        self.clear()

    def clear(self) -> None:
        self.requests = {"control": 0, "rpc": 0}
        self.events = self.limiter_attempts = self.limiter_rejects = self.limiter_bans = 0
        self.gauges: dict[str, float] = {}
        self.queued_at: dict[int, int] = {}
        """Of disbursements on their way; one that was queued before a restart has no lag."""
        counters = {name: family for name, family in FAMILIES.items() if family.kind == "counter"}
        self.series = {name: Samples(family, self._deviations) for name, family in counters.items()}
        self.histograms = {name: Histogram(family) for name, family in FAMILIES.items() if family.buckets}
        self.faults = self.series["mock_faults_injected_total"]
        self.results = self.series["treasury_executor_result_total"]
        self.errors = self.series["treasury_executor_errors_total"]
        self.client_errors = self.series["rpc_client_error_total"]

    def add(self, name: str, *values: str, by: float = 1) -> None:
        """Counts. One value per label, in the table's order."""
        self.series[name].add(*values, by=by)

    def observe(self, name: str, value: float) -> None:
        self.histograms[name].observe(value)


def render(node: Node) -> str:
    """The whole scrape, families in alphabetical order. Its cost does not grow with what the node stores."""
    m = node.metrics
    for listener, count in m.requests.items():
        m.series["mock_listener_requests_total"].set(count, listener)
    m.series["mock_log_events_total"].set(m.events)
    for what, count in {
        "rpc_rate_limit_attempt_total": m.limiter_attempts,
        "rpc_rate_limit_reject_total": m.limiter_rejects,
        "rpc_bans_total": m.limiter_bans,
    }.items():
        if count:
            m.series[what].set(count)
    blocks = {name: shown.lines() for name, shown in (m.series | m.histograms).items()}
    market = node.state.energy
    m.gauges |= {
        "energy_active_disputes_total": sum(dispute["status"] == "open" for dispute in market.disputes.values()),
        "energy_pending_credits_total": len(market.credits),
        "energy_provider_total": len(market.providers),
        "energy_receipt_total": len(market.receipts),
    }
    gauges = m.gauges | {"treasury_balance": node.state.counter}
    blocks |= {name: text(FAMILIES[name], {"": value}) for name, value in gauges.items()}
    backlog = FAMILIES["treasury_disbursement_backlog"]
    counts = {LABELS[status]: count for status, count in node.state.statuses.items()}
    blocks[backlog.name] = text(
        backlog, {part_of(backlog.labels, (value,)): counts.get(value, 0) for value in backlog.labels[0].values}
    )
    tokens = node.limiter.tokens(CLIENTS.labels[0].kept)
    blocks[CLIENTS.name] = text(CLIENTS, {part_of(CLIENTS.labels, (a,)): left for a, left in tokens.items()})
    unset = UNSET if "metrics_unset" in node.deviations else ()
    return "".join([blocks.get(name, "") for name in FAMILIES if name not in unset])
