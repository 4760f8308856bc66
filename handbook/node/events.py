"""Every kind of change there is.

An event is stored as one JSON array, its kind first; `at` is Unix seconds on the node's clock.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all events; kinds are told apart by their tag."""


class ClockSet(Event, frozen=True, tag="clock"):
    """`frozen`: the second at which the clock stands, or None: real time plus `offset`."""

    frozen: int | None
    offset: int


class RetentionSet(Event, frozen=True, tag="retention"):
    """`all`: nothing is dropped any more; else the node's limits hold from now on."""

    all: bool


class HeightSet(Event, frozen=True, tag="height"):
    height: int


class Mined(Event, frozen=True, tag="mined"):
    """Blocks were mined: every waiting payment is in the first of them."""

    blocks: int


class MiningSet(Event, frozen=True, tag="mining"):
    """How chain time passes: `manual`, `timer` (`blocks` every `interval` seconds) or `auto`."""

    mode: str = "manual"
    interval: int = 0
    blocks: int = 0


class Funded(Event, frozen=True, tag="funded"):
    """Coins arrived on a chain account; the account exists from then on."""

    account: str
    amount: int


class Submitted(Event, frozen=True, tag="submitted"):
    """A draft disbursement. Its body is in the wire's own shape, without `id`, `status`, `receipts`, `created_at`."""

    id: int
    at: int
    body: dict[str, Any]


class StatusSet(Event, frozen=True, tag="status"):
    """A disbursement changed state. `receipts` replaces the stored ones unless it is None."""

    id: int
    status: dict[str, Any]
    at: int
    receipts: list[dict[str, Any]] | None = None


class ProposalLost(Event, frozen=True, tag="proposal_lost"):
    """A disbursement was written back after it had been read without its proposal."""

    id: int


class BalanceMoved(Event, frozen=True, tag="balance"):
    """An entry of the balance history: the counter changes by `delta`. `kind` is the wire's `event`."""

    kind: str
    delta: int
    disbursement: int | None
    at: int


class IntentStaged(Event, frozen=True, tag="intent"):
    """A signed payment, kept before it is sent."""

    disbursement: int
    tx_hash: str
    nonce: int
    to: str
    amount: int
    fee: int
    at: int


class IntentRemoved(Event, frozen=True, tag="intent_removed"):
    disbursement: int


class Admitted(Event, frozen=True, tag="admitted"):
    """A payment from `sender` entered the mempool."""

    sender: str
    tx_hash: str
    nonce: int
    to: str
    amount: int
    fee: int
    at: int


Fund = tuple[str, int, str]
"""An account, the coins that it is given, and an id: a branch holds each gift once."""


class Link(msgspec.Struct, frozen=True, array_like=True):
    """Blocks that node `by` mined at once, the payments in the first; or none, and coins from the operator."""

    hash: str
    by: str
    blocks: int
    payments: list[Admitted]
    fund: Fund | None


class Root(msgspec.Struct, frozen=True, array_like=True):
    """Where links begin; accounts as (balance, nonce)."""

    hash: str
    height: int
    accounts: dict[str, tuple[int, int]]


class PeersSet(Event, frozen=True, tag="peers"):
    """With whom this node, known to them as `name`, shares a chain, and which of them are `cut` off."""

    name: str
    peers: list[str]
    cut: list[str]


class ChainTaken(Event, frozen=True, tag="chain_taken"):
    """A peer's branch won: `links` follow `keep` of the own ones, or the root if there is one."""

    root: Root | None
    keep: int
    links: list[Link]


class LeaseSet(Event, frozen=True, tag="lease"):
    """The executor's lease record, whole."""

    holder: str
    expires_at: int
    renewed_at: int
    last_nonce: int | None
    released: bool


class RandomSeeded(Event, frozen=True, tag="random_seed"):
    """Where chance in faults is drawn from."""

    seed: int


class Crashed(Event, frozen=True, tag="crashed"):
    """The process is about to kill itself at a fault; an empty `fault` once the next process has said so."""

    fault: str


class TickStored(Event, frozen=True, tag="tick"):
    """What a tick left for `gov.treasury.balance` to show."""

    last_tick_at: int
    last_success_at: int | None
    last_error_at: int | None
    last_error: str | None
    pending_matured: int
    staged_intents: int
    last_submitted_nonce: int | None


class Proposed(Event, frozen=True, tag="proposed"):
    """A proposal to change parameter `key`. Epochs are whatever the caller said."""

    id: int
    key: str
    value: int
    min: int
    max: int
    proposer: str
    epoch: int
    deadline: int
    deps: list[int]


class Voted(Event, frozen=True, tag="voted"):
    """`choice`: yes, no or abstain."""

    proposal: int
    voter: str
    choice: str


class EnergyRulesSet(Event, frozen=True, tag="energy_rules"):
    """The energy market's parameters, whole."""

    rules: dict[str, Any]


class ProviderKeysSet(Event, frozen=True, tag="provider_keys"):
    """Public keys as hex, by provider: all there are from now on."""

    keys: dict[str, str]


class ProviderSet(Event, frozen=True, tag="provider"):
    """An energy provider was registered or changed; whole, in the wire's shape."""

    provider: dict[str, Any]


class ReadingAccepted(Event, frozen=True, tag="reading"):
    """A meter reading became a credit, which is in the wire's shape."""

    credit: dict[str, Any]
    total_kwh: int
    timestamp: int
    nonce: int


class Settled(Event, frozen=True, tag="settled"):
    """Part of a credit was settled; the receipt is in the wire's shape."""

    receipt: dict[str, Any]


class Slashed(Event, frozen=True, tag="slashed"):
    """A settlement failed; the slash is in the wire's shape."""

    slash: dict[str, Any]


class DisputeSet(Event, frozen=True, tag="dispute"):
    """A dispute was opened or resolved; whole, in the wire's shape."""

    dispute: dict[str, Any]


class SettlementProposed(Event, frozen=True, tag="settlement_proposed"):
    """A proposal to change the energy market's settlement."""

    id: int
    body: dict[str, Any]


class MarketLost(Event, frozen=True, tag="market_lost"):
    """The start found no providers, credits, readings and keys; disputes, receipts and slashes are still there."""


class Reverted(Event, frozen=True, tag="reverted"):
    """The state is the snapshot's again. A checkpoint with the same number holds it."""

    snapshot: int


class Loaded(Event, frozen=True, tag="loaded"):
    """The state came from a dump with this CRC-32. A checkpoint with the same number holds it."""

    crc: int


Kind = (
    ClockSet
    | RetentionSet
    | HeightSet
    | Mined
    | MiningSet
    | Funded
    | Submitted
    | StatusSet
    | ProposalLost
    | BalanceMoved
    | IntentStaged
    | IntentRemoved
    | Admitted
    | LeaseSet
    | TickStored
    | Reverted
    | Loaded
    | Proposed
    | Voted
    | EnergyRulesSet
    | ProviderKeysSet
    | ProviderSet
    | ReadingAccepted
    | Settled
    | Slashed
    | DisputeSet
    | SettlementProposed
    | MarketLost
    | PeersSet
    | ChainTaken
    | RandomSeeded
    | Crashed
)

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Kind).decode
