"""Which call reaches which method, in the node's order: quirk, energy limiter, energy role, lists, address.

The lists are the node's own, with what the contract mends: a coded method that the node left off its lists is public
here. A name that is let through and that this mock does not serve is -32601 like any other.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec

from handbook.node.config import EnergyRates, Limits
from handbook.node.exposition import Metrics
from handbook.node.failure import RpcError, StartFailure
from handbook.node.limiter import Limiter
from handbook.node.settings import RpcSettings

DEBUG = frozenset({"set_difficulty", "start_mining", "stop_mining"})
ADMIN = frozenset(
    [
        "set_snapshot_interval",
        "ad_market.register_campaign",
        "compute_arm_real",
        "compute_cancel_arm",
        "compute_back_to_dry_run",
        "gateway.mobile_cache_status",
        "gateway.mobile_cache_flush",
        "telemetry.configure",
        "gov_propose",
        "gov_vote",
        "submit_proposal",
        "vote_proposal",
        "gov_list",
        "gov_params",
        "gov_rollback_last",
        "gov_rollback",
        "jurisdiction.set",
    ]
)
LOOPBACK = frozenset(
    [
        "net.peer_stats",
        "net.peer_stats_all",
        "net.peer_stats_reset",
        "net.peer_stats_export",
        "net.peer_stats_export_all",
        "net.peer_throttle",
        "net.backpressure_clear",
    ]
)
TREASURY = "gov.treasury."
UNLISTED = frozenset(
    ["energy.slashes", "energy.update_provider", "gov.energy_settlement", "gov.energy_settlement_history"]
)
"""Coded and on no list of build 0ecc756a, as are all names that begin with `TREASURY`."""

PROVIDER, ORACLE, ENERGY_ADMIN = "provider", "oracle", "admin"
_DISPUTE = ("flag_dispute", "resolve_dispute", "register_provider", "update_provider")
CLASSES = {"energy.submit_reading": "submit", "energy.settle": "settle"} | {f"energy.{n}": "dispute" for n in _DISPUTE}
"""Limiter class by method; every other `energy.*` name is `read`, whether such a method exists or not."""
ROLES = (
    {f"energy.{name}": PROVIDER for name in ("market_state", "receipts", "credits", "disputes", "slashes")}
    | {"energy.submit_reading": ORACLE}
    | {f"energy.{name}": ENERGY_ADMIN for name in ("settle", *_DISPUTE)}
)
ACCEPTED = {PROVIDER: (PROVIDER, ORACLE, ENERGY_ADMIN), ORACLE: (ORACLE, ENERGY_ADMIN), ENERGY_ADMIN: (ENERGY_ADMIN,)}


class Caller(NamedTuple):
    """Who asks. `authorization` is the header's value; `counted`: the limiters have seen this call already."""

    peer: str = "127.0.0.1"
    authorization: bytes | None = None
    counted: bool = False


class Tokens(msgspec.Struct, frozen=True):
    """Shared secrets. Without `admin` there is no admin; without any energy token there is no energy check."""

    admin: bytes | None = None
    energy: dict[str, bytes] = {}


def read_tokens(settings: RpcSettings) -> Tokens:
    """From the environment and the token files, once at start. Relative paths start at the working directory."""
    admin = _from_file(settings.admin_token_file)
    files = {PROVIDER: "energy_provider", ORACLE: "energy_oracle", ENERGY_ADMIN: "energy_admin"}
    energy = {}
    for role, name in files.items():
        given = os.environ.get(f"TB_{name.upper()}_TOKEN", "").strip().encode()
        if token := given or _from_file(f"secrets/{name}.token"):
            energy[role] = token
    if admin and ENERGY_ADMIN not in energy:
        energy[ENERGY_ADMIN] = admin
    return Tokens(admin, energy)


def _from_file(path: str) -> bytes | None:
    try:
        return Path(path).read_text().strip().encode() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StartFailure(f"{path}: {error}", "expected a file that holds a token", f"chmod 600 {path}") from None


def bears(caller: Caller, token: bytes | None) -> bool:
    """Whether the header is exactly `Bearer TOKEN`; the time taken does not tell how much of it fits."""
    if token is None or caller.authorization is None:
        return False
    return hmac.compare_digest(caller.authorization, b"Bearer " + token)


class Gate:
    """`deviates` says what this node does otherwise, by name; what is switched on counts from the next call."""

    def __init__(
        self,
        settings: RpcSettings,
        rates: EnergyRates,
        limits: Limits,
        metrics: Metrics,
        deviates: Callable[[str], bool],
    ) -> None:
        self._tokens, self._debug = read_tokens(settings), settings.enable_debug
        self._deviates = deviates
        self.limiters = {
            name: Limiter(Limits(getattr(rates, name), limits.ban_seconds, limits.forget_seconds), metrics)
            for name in ("read", "submit", "settle", "dispute")
        }

    def admit(self, method: str, caller: Caller, now: float) -> bool:
        """Raises RpcError for a call that reaches no method; `now` is a monotonic second.

        False: no method, but the ad market's `{"status":"ok"}`.
        """
        if "claim_routes" in method:
            return False
        if method.startswith("energy."):
            self._admit_energy(method, caller, now)
        if method in DEBUG:
            allowed = self._debug and bears(caller, self._tokens.admin)
        elif method in ADMIN:
            allowed = bears(caller, self._tokens.admin)
        elif method in LOOPBACK:
            allowed = is_loopback(caller.peer)
        elif method.startswith(TREASURY):
            allowed = not self._deviates("treasury_unlisted")
        else:
            allowed = method not in UNLISTED or not self._deviates("energy_unlisted")
        if not allowed:
            raise RpcError(-32601, "method not found")
        return True

    def _admit_energy(self, method: str, caller: Caller, now: float) -> None:
        """The limiter, then the role; both before anything asks whether the method exists."""
        if not caller.counted and (refusal := self.limiters[CLASSES.get(method, "read")].refuse(caller.peer, now)):
            raise RpcError(*refusal)
        role, tokens = ROLES.get(method), self._tokens.energy
        if role and tokens and not any([bears(caller, tokens.get(one)) for one in ACCEPTED[role]]):
            raise RpcError(-33009, "unauthorized")


def is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
