"""A fault for every alert. Each has a node or a host of its own."""

from __future__ import annotations

from typing import Any

from handbook.chain import energy_faults, host_faults, node_faults, treasury_faults
from handbook.chain.fault import Fault

FAULTS: tuple[Fault[Any], ...] = (
    *treasury_faults.FAULTS,
    *energy_faults.FAULTS,
    *node_faults.FAULTS,
    *host_faults.FAULTS,
)
WATCHDOG = "Watchdog"
"""Fires always: what is tried is that it stops when the way to the people is cut."""
