"""The one state of a node.

Disbursements and balance snapshots are kept in the wire's own shape, members in alphabetical order, and are never
changed in place. Ids of both are contiguous: the oldest are dropped past the retention limits, or put on pages by a
node that keeps all; the next id is the highest plus one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from handbook.node import events as ev
from handbook.node import forks, market_state
from handbook.node.shelf import Shelf, decoded, encodable

EPOCH_BLOCKS = 120
MAX_RECORDS = 1024
MAX_SNAPSHOTS = 2048
MAX_INTENTS = 512

Entry = dict[str, Any]
"""`{"deps": […], "disbursement": {…}}`, as the list and get methods answer it."""


BARE_DRAFT = 2
MARKS = {
    name: 1 << bit
    for bit, name in enumerate(("Draft", "Voting", "Queued", "Timelocked", "Executed", "Finalized", "RolledBack"), 2)
}
"""What a page of records says about those on it: a bit for each state, and one for drafts without a proposal."""


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """A client of a rate limiter: its tokens `idle` seconds ago, and for how many seconds a ban still lasts, if any."""

    address: str
    tokens: float
    idle: float
    banned: float | None


class State(msgspec.Struct):
    """Everything that survives a restart."""

    frozen: int | None = None
    offset: int = 0
    height: int = 0
    mining: ev.MiningSet = ev.MiningSet()
    accounts: dict[str, forks.Account] = {}
    mempool: list[ev.Admitted] = []
    records: Shelf = msgspec.field(default_factory=Shelf)
    """Of `Entry`, by id."""
    last_id: int = 0
    counter: int = 0
    snapshots: Shelf = msgspec.field(default_factory=Shelf)
    """Of the balance, by id."""
    last_snapshot: int = 0
    intents: dict[int, ev.IntentStaged] = {}
    lease: ev.LeaseSet | None = None
    tick: ev.TickStored | None = None
    proposals: dict[int, ev.Proposed] = {}
    votes: dict[int, dict[str, str]] = {}
    energy: market_state.Market = msgspec.field(default_factory=market_state.Market)
    net: forks.Net | None = None
    """None without peers, as the real node always is."""
    keep_all: bool = False
    """The mock's own: no retention limit holds."""
    random_seed: int = 0
    crashed: str = ""
    limiters: dict[str, list[Bucket]] = {}
    """Filled in a snapshot and a dump only: as on the node, a restart forgets who called how often."""
    statuses: dict[str, int] = {}
    """How many stored disbursements are in each state: counted as they change, so that a scrape need not look."""

    def __post_init__(self) -> None:
        """Counts once what an older checkpoint holds."""
        if self.records and not self.statuses:
            self.statuses = dict(Counter(status_name(entry) for entry in self.records.values()))

    @property
    def epoch(self) -> int:
        return self.height // EPOCH_BLOCKS


encode_state = msgspec.json.Encoder(enc_hook=encodable).encode
decode_state = msgspec.json.Decoder(State, dec_hook=decoded).decode


def status_name(entry: Entry) -> str:
    name: str = next(iter(entry["disbursement"]["status"]))
    return name


def marks(entry: Entry) -> int:
    name = status_name(entry)
    return MARKS[name] | (BARE_DRAFT if name == "Draft" and entry["disbursement"]["proposal"] is None else 0)
