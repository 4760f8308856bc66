"""Every metric that a mock node may export: the node and mock entries of `snippets/metrics.yml`, as a table.

A table of Python, because reading the file would cost a third of a start; a test holds the two together, both ways.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LONGEST_VALUE = 128
"""Characters of an open label's value. prometheus.yml drops a whole scrape for one of more than 256 bytes."""
OTHER = "other"


class Label(msgspec.Struct, frozen=True):
    """Closed: one of `values`. Open, where the node takes any text: the first `kept` values that came.

    Whatever else comes counts as `other`.
    """

    name: str
    values: tuple[str, ...] = ()
    kept: int = 0

    @property
    def budget(self) -> int:
        """How many values a scrape can show, `other` included."""
        return self.kept + 1 if self.kept else len({*self.values, OTHER})


class Family(msgspec.Struct, frozen=True):
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    from_start: bool = False
    """Shown at 0 before anything set it, with every value of its labels."""

    @property
    def budget(self) -> int:
        """The most samples it can add to a scrape."""
        combinations = 1
        for label in self.labels:
            combinations *= label.budget
        return combinations * (len(self.buckets) + 3 if self.buckets else 1)


STATUSES = ("draft", "voting", "queued", "timelocked", "executed", "finalized", "rolled_back", OTHER)
REJECTIONS = ("invalid_reading", "stale_timestamp", "authorization_failed", "bad_signature", OTHER)

_FAMILIES = (
    Family("energy_active_disputes_total", "gauge", "Open disputes. A gauge, in spite of its name.", from_start=True),
    Family("energy_dispute_open_total", "counter", "Disputes opened."),
    Family("energy_dispute_resolve_total", "counter", "Disputes resolved."),
    Family(
        "energy_dispute_total",
        "counter",
        "Disputes that entered a state since the node started, not disputes now in it.",
        labels=(Label("state", ("open", "resolved", "slashed", "other")),),
    ),
    Family(
        "energy_meter_reading_total",
        "counter",
        "Meter readings accepted, by provider. prometheus.yml drops it.",
        labels=(Label("provider", kept=200),),
    ),
    Family(
        "energy_pending_credits_total",
        "gauge",
        "Credits not settled yet. A number of credits, not of kWh, and a gauge in spite of its name.",
        from_start=True,
    ),
    Family("energy_provider_register_total", "counter", "Providers registered since the node started."),
    Family("energy_provider_total", "gauge", "Registered providers. A gauge, in spite of its name.", from_start=True),
    Family(
        "energy_quorum_shortfall_total",
        "counter",
        "Settlements that fell short of the oracle quorum.",
        labels=(Label("provider", kept=200),),
    ),
    Family(
        "energy_reading_reject_total",
        "counter",
        "Meter readings that the market turned away. Refusals before it (rate limit, bad parameters) are not counted.",
        labels=(Label("reason", REJECTIONS),),
    ),
    Family("energy_readings_total", "counter", "Meter readings accepted."),
    Family(
        "energy_receipt_total",
        "gauge",
        "Receipts that no block has taken yet. A gauge, in spite of its name.",
        from_start=True,
    ),
    Family(
        "energy_settlement_mode",
        "gauge",
        "0 batch, 1 real time. Set by a governance push only, so a node without one does not export it.",
    ),
    Family(
        "energy_settlement_rollback_total",
        "counter",
        "Governance changes of the settlement mode that were rolled back.",
    ),
    Family("energy_settlement_total", "counter", "Settlements that succeeded.", labels=(Label("provider", kept=200),)),
    Family(
        "energy_slashing_total",
        "counter",
        "Failed settlements by cause, even when nothing was slashed. A slash inside a successful one is not counted.",
        labels=(
            Label("provider", kept=200),
            Label("reason", ("quorum", "expiry", "conflict", "other")),
        ),
    ),
    Family(
        "energy_treasury_fee_total",
        "counter",
        "Fees and slashes that the energy market handed to the treasury counter.",
    ),
    Family(
        "governance_disbursements_total",
        "counter",
        "Disbursements that entered a status since the node started.",
        labels=(Label("status", STATUSES),),
        from_start=True,
    ),
    Family(
        "mock_faults_injected_total",
        "counter",
        "Times that an injected fault took effect.",
        labels=(Label("fault", kept=64),),
    ),
    Family(
        "mock_listener_requests_total",
        "counter",
        "Requests that the mock answered, by listener.",
        labels=(Label("listener", ("rpc", "control")),),
        from_start=True,
    ),
    Family("mock_log_events_total", "counter", "Events in the mock's log.", from_start=True),
    Family(
        "oracle_latency_seconds",
        "histogram",
        "Time from a meter reading's own timestamp to its acceptance.",
        buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300),
        from_start=True,
    ),
    Family(
        "oracle_submission_errors_total",
        "counter",
        "The same events as energy_reading_reject_total, always equal to it.",
        labels=(Label("reason", REJECTIONS),),
    ),
    Family("rpc_bans_total", "counter", "Clients that a rate limiter banned."),
    Family(
        "rpc_client_error_total",
        "counter",
        "Requests that a rate limiter turned away, by cause. 2000 rate limited, 2001 banned.",
        labels=(Label("code", ("2000", "2001")),),
    ),
    Family(
        "rpc_rate_limit_attempt_total",
        "counter",
        "Requests that reached a rate limiter, the general one or one of the energy limiters.",
    ),
    Family("rpc_rate_limit_reject_total", "counter", "Requests that a rate limiter turned away."),
    Family(
        "rpc_tokens_available",
        "gauge",
        "Requests a client may still make at once. prometheus.yml drops it.",
        labels=(Label("client", kept=100),),
    ),
    Family(
        "treasury_balance",
        "gauge",
        "The treasury counter that governance keeps; not the balance of the chain account.",
        from_start=True,
    ),
    Family(
        "treasury_circuit_breaker_failures",
        "gauge",
        "Failed submissions since the last success; the breaker opens at 5.",
    ),
    Family("treasury_circuit_breaker_state", "gauge", "0 closed, 1 open, 2 half-open."),
    Family(
        "treasury_circuit_breaker_successes",
        "gauge",
        "Successful submissions while the breaker is half-open; it closes at 2.",
    ),
    Family(
        "treasury_disbursement_backlog",
        "gauge",
        "Disbursements that are in a status now.",
        labels=(Label("status", STATUSES),),
        from_start=True,
    ),
    Family(
        "treasury_disbursement_lag_seconds",
        "histogram",
        "Time a disbursement took from Queued to Executed.",
        buckets=(1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400),
        from_start=True,
    ),
    Family(
        "treasury_executor_errors_total",
        "counter",
        "Ticks with a failed submission, by the text of the error. prometheus.yml drops it.",
        labels=(Label("reason", kept=32),),
    ),
    Family(
        "treasury_executor_last_error_seconds",
        "gauge",
        "When a tick last ended with a failed submission; 0 when there was none or a success came after it.",
    ),
    Family("treasury_executor_last_submitted_nonce", "gauge", "Nonce of the payment submitted last."),
    Family(
        "treasury_executor_last_success_seconds",
        "gauge",
        "When a tick last ended without a failed submission, whether or not there was anything to do.",
    ),
    Family("treasury_executor_last_tick_seconds", "gauge", "When the executor last came to the end of a tick."),
    Family("treasury_executor_lease_last_nonce", "gauge", "Nonce that the lease record holds as the last one used."),
    Family("treasury_executor_lease_released", "gauge", "1 after the lease was given back, else 0."),
    Family(
        "treasury_executor_pending_matured",
        "gauge",
        "Disbursements that were due and had their dependencies met in the last tick, those just paid among them.",
    ),
    Family(
        "treasury_executor_result_total",
        "counter",
        "Outcomes, one per paid or cancelled disbursement and one per tick with a failed submission.",
        labels=(Label("result", ("success", "cancelled", "error")),),
    ),
    Family(
        "treasury_executor_staged_intents",
        "gauge",
        "Signed payments that are stored, whether or not they were submitted.",
    ),
)

FAMILIES = {family.name: family for family in _FAMILIES}
"""By name, in alphabetical order."""
