"""Flags and environment of one node process.

Numbers read from `TB_*` variables are the node's own names and defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from handbook.node.deviations import BUILDS, CONTRACT
from handbook.node.failure import StartFailure


@dataclass(frozen=True)
class Limits:
    """The general limiter: burst and refill are both `tokens_per_second`; a ban lasts `ban_seconds`."""

    tokens_per_second: float = 100.0
    ban_seconds: float = 60.0
    forget_seconds: float = 300.0


def _number(name: str, default: float) -> float:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise StartFailure(f"{name}={text!r}", "expected a number of 0 or more", f"unset {name} for {default:g}")
    return value


def limits_from_environment() -> Limits:
    return Limits(
        _number("TB_RPC_TOKENS_PER_SEC", 100),
        _number("TB_RPC_BAN_SECS", 60),
        _number("TB_RPC_CLIENT_TIMEOUT_SECS", 300),
    )


@dataclass(frozen=True)
class EnergyRates:
    """Tokens per second of the four energy limiters. Below 1 a bucket can never pay for a call."""

    read: float = 1000 / 60
    submit: float = 100 / 60
    settle: float = 50 / 60
    dispute: float = 20 / 60


def energy_rates_from_environment() -> EnergyRates:
    classes = {"read": 1000, "submit": 100, "settle": 50, "dispute": 20}
    return EnergyRates(
        **{name: _number(f"TB_RPC_ENERGY_{name.upper()}_TOKENS_PER_SEC", per / 60) for name, per in classes.items()}
    )


def fee_from_environment() -> int:
    return int(_number("TB_MIN_FEE_PER_BYTE_CONSUMER", 1))


@dataclass(frozen=True)
class Config:
    """One field per flag of `handbook node`; `HOST:PORT` with port 0 asks for any free port.

    `clock` freezes the node's clock at that Unix second. `treasury_balance` is credited once, to an empty data
    directory. `keep_all` lifts the node's retention limits.
    """

    rpc_addr: str = "127.0.0.1:3030"
    metrics_addr: str | None = None
    control_addr: str | None = None
    data_dir: Path = Path("node-data")
    treasury_balance: int | None = None
    clock: int | None = None
    treasury_executor: bool = False
    treasury_key: str | None = None
    treasury_executor_id: str | None = None
    treasury_poll_interval: int = 15
    treasury_executor_lease: int = 60
    aliases: bool = True
    build: str = CONTRACT
    keep_all: bool = False
    limits: Limits = field(default_factory=limits_from_environment)
    energy_rates: EnergyRates = field(default_factory=energy_rates_from_environment)
    min_fee_per_byte: int = field(default_factory=fee_from_environment)

    def check(self) -> None:
        """Raises StartFailure for flags that do not go together."""
        if self.build not in BUILDS:
            raise StartFailure(f"--build {self.build}", f"expected one of {', '.join(BUILDS)}")
        if self.treasury_executor and not self.treasury_key:
            raise StartFailure("--treasury-executor requires --treasury-key <key-id>")


def address(flag: str, text: str) -> tuple[str, int]:
    """`IP:PORT` as the node reads it: a host name is an error. IPv6 in brackets."""
    import ipaddress

    host, _, port = text.rpartition(":")
    try:
        ip = ipaddress.ip_address(host.strip("[]") if host.startswith("[") else host)
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError
    except ValueError:
        hint = f"for this machine only: {flag} 127.0.0.1:{port if port.isdigit() else '3030'}"
        raise StartFailure(f"{flag} {text}", "expected IP:PORT, for example 127.0.0.1:3030", hint) from None
    return str(ip), int(port)
