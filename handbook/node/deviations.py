"""Where a build of the node differs from the contract, by name: what `--build` switches on, and a fault switches alone.

Each name is the `fault` of an entry of `snippets/deviations.yml`.
"""

from __future__ import annotations

CONTRACT = "contract"
SWITCHES = {
    "aliases_off": "the seed's names are unknown: /rpc, list_disbursements, states in lower case",
    "energy_rehearsal": "whatever changes the energy market is -33020",
    "energy_unlisted": "energy.update_provider, energy.slashes and gov.energy_settlement* are -32601",
    "labels_unbounded": "a label of a metric takes every value that comes",
    "metrics_serial": "the metrics listener waits for each client that connected before, also for a silent one",
    "metrics_unset": "the seed's metrics, treasury_balance and treasury_disbursement_backlog are not exported",
    "nesting_fatal": "20 000 nested brackets get no answer, 60 000 end the process",
    "parse_slow": "a long string holds the node up: 0.24 s at 100 kB, 11 s at 500 kB",
    "proposal_lost": "a disbursement is read back without its proposal, and stored so when it changes",
    "submits_overwritten": "submissions that arrive together get one id, and the last one's record",
    "treasury_unlisted": "all gov.treasury.* methods are -32601",
}
AT_START = {
    "config_replaced": "a default.toml that does not fit is overwritten with the defaults",
    "market_lost": "a start after a provider's key was registered finds an empty energy market",
    "torn_refused": "a start after `torn_log_line` fails; a start without --build mends the log",
}
BUILDS: dict[str, frozenset[str]] = {CONTRACT: frozenset(), "0ecc756a": frozenset({*SWITCHES, *AT_START})}
