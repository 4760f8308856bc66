"""What `--build` switches on: where a build of the node differs from the contract, by name."""

from __future__ import annotations

CONTRACT = "contract"
BUILDS: dict[str, frozenset[str]] = {
    CONTRACT: frozenset(),
    "0ecc756a": frozenset({"treasury_unlisted", "energy_unlisted", "energy_rehearsal", "config_replaced"}),
}
"""`treasury_unlisted`, `energy_unlisted`: the coded methods that are on no list. `energy_rehearsal`: whatever changes
the energy market is -33020. `config_replaced`: an unreadable default.toml is overwritten."""
