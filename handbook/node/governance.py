"""Governance of parameters, and what stands around it.

Nothing ever tallies or activates a proposal: it stays `Open`, no parameter changes, and a rollback finds nothing to
roll back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handbook.node import events as ev
from handbook.node.envelope import I64_MIN, U64_MAX
from handbook.node.failure import RpcError
from handbook.node.lenient import fits, number, text
from handbook.node.node import Node

KEYS = frozenset(
    {
        "BadgeExpirySecs",
        "BetaStorageSub",
        "ConsumerFeeComfortP90Microunits",
        "FeeFloorPercentile",
        "FeeFloorWindow",
        "GammaReadSub",
        "IndustrialAdmissionMinCapacity",
        "JurisdictionRegion",
        "KalmanRLong",
        "KalmanRMed",
        "KalmanRShort",
        "KappaCpuSub",
        "LambdaBytesOutSub",
        "MinerRewardLogisticTarget",
        "RentRatePerByte",
        "SnapshotIntervalSecs",
        "TreasuryPercent",
    }
)
I64_MAX = -I64_MIN - 1
PARAMS = {
    "beta_storage_sub": 50,
    "energy_min_stake": 1000,
    "energy_oracle_timeout_blocks": 720,
    "energy_slashing_rate_bps": 0,
    "gamma_read_sub": 20,
    "kappa_cpu_sub": 10,
    "lambda_bytes_out_sub": 5,
    "launch_energy_autopilot": 0,
    "rent_rate_per_byte": 0,
    "treasury_percent": 0,
}
"""Those of the node's parameters whose defaults are known."""


def propose(node: Node, params: Any) -> dict[str, Any]:
    return _submit(node, params, [])


def submit(node: Node, params: Any) -> dict[str, Any]:
    given = params.get("deps") if isinstance(params, dict) else None
    deps = [dep for dep in given if fits(dep, 0, U64_MAX)] if isinstance(given, list) else []
    return _submit(node, params, deps)


def vote(node: Node, params: Any) -> dict[str, Any]:
    """Whoever votes again overwrites. An unknown choice is `abstain`; dependencies are looked at first."""
    proposals, id_ = node.state.proposals, number(params, "proposal_id")
    epoch, proposal = number(params, "epoch"), proposals.get(id_)
    if proposal and proposal.deps:  # all known when it was submitted, and no proposal is ever activated
        raise RpcError(-32070, "dependency not active")
    if proposal is None or epoch >= proposal.deadline:
        raise RpcError(-32062, "vote failed", "unknown proposal" if proposal is None else "past its deadline")
    choice = text(params, "choice", "yes")
    node.record(ev.Voted(id_, text(params, "voter"), choice if choice in ("yes", "no") else "abstain"))
    return {"ok": True}


def proposals(node: Node, params: Any) -> list[dict[str, Any]]:
    return [
        {
            "activation_epoch": None,
            "created_epoch": proposal.epoch,
            "deps": proposal.deps,
            "id": proposal.id,
            "key": proposal.key,
            "max": proposal.max,
            "min": proposal.min,
            "new_value": proposal.value,
            "proposer": proposal.proposer,
            "status": "Open",
            "vote_deadline_epoch": proposal.deadline,
        }
        for proposal in node.state.proposals.values()
    ]


def parameters(node: Node, params: Any) -> dict[str, Any]:
    return {
        "epoch": number(params, "epoch"),
        "params": PARAMS,
        "runtime_backend_mask": 1,
        "runtime_backend_policy": ["inhouse"],
        "storage_engine_mask": 10,
        "storage_engine_policy": ["rocksdb", "inhouse"],
        "transport_provider_mask": 1,
        "transport_provider_policy": ["quinn"],
    }


def rollback_last(node: Node, params: Any) -> Any:
    raise RpcError(-32064, "rollback failed", "no proposal was ever activated")


def rollback(node: Node, params: Any) -> Any:
    raise RpcError(-32067, "rollback failed", "no proposal was ever activated")


def governor_snapshot(node: Node, params: Any) -> dict[str, Any]:
    if number(params, "epoch", -1) < 0:
        raise RpcError(-32602, "epoch required")
    return {"status": "disabled"}


def configure_telemetry(node: Node, params: Any) -> dict[str, Any]:
    """`sample_rate` from 0 to 1. In memory: a restart forgets it."""
    rate = params.get("sample_rate") if isinstance(params, dict) else None
    if isinstance(rate, int | float) and not isinstance(rate, bool):
        node.sample_rate_ppm = round(min(max(rate, 0), 1) * 1_000_000)
    node.compaction_secs = number(params, "compaction_secs", node.compaction_secs)
    return {"compaction_secs": node.compaction_secs, "sample_rate_ppm": node.sample_rate_ppm, "status": "ok"}


def _submit(node: Node, params: Any, deps: list[int]) -> dict[str, Any]:
    key, epoch = text(params, "key"), number(params, "epoch")
    if key not in KEYS:
        raise RpcError(-32060, "bad key")
    value, low, high = (number(params, name, 0, I64_MIN, I64_MAX) for name in ("new_value", "min", "max"))
    known = node.state.proposals
    if not low <= value <= high:
        raise RpcError(-32061, "submit failed", f"{value} is not within {low} and {high}")
    if missing := [dep for dep in deps if dep not in known]:
        raise RpcError(-32061, "submit failed", f"there is no proposal {missing[0]} to depend on")
    id_, deadline = len(known), number(params, "vote_deadline", epoch)
    node.record(ev.Proposed(id_, key, value, low, high, text(params, "proposer"), epoch, deadline, deps))
    return {"id": id_}


METHODS: dict[str, Callable[[Node, Any], Any]] = {
    "gov_list": proposals,
    "gov_params": parameters,
    "gov_propose": propose,
    "gov_rollback": rollback,
    "gov_rollback_last": rollback_last,
    "gov_vote": vote,
    "governor.snapshot": governor_snapshot,
    "submit_proposal": submit,
    "telemetry.configure": configure_telemetry,
    "vote_proposal": vote,
}
