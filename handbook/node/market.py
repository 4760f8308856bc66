"""The rules of the energy market: state and arguments in, events out. Raises RpcError with the node's own text.

No coins move: a settlement charges nobody. What the treasury gets is its fee and the slash, on the governance counter.
"""

from __future__ import annotations

from math import cos, pi, sqrt, tanh
from typing import Any

from handbook.node import events as ev
from handbook.node.failure import RpcError
from handbook.node.market_state import MAX_PROVIDERS, Market, Meter
from handbook.node.readings import Reading, meter_hash, why_unverified
from handbook.node.state import State

U64_MAX = 2**64 - 1
MAX_COUNTER = 2**63 - 1
SKEW_SECONDS = 300
BASE_FEE_BPS = 250
PEAK_HOUR = 19
"""UTC. The distance to it is not wrapped at midnight."""

SIGNATURE, READING, QUORUM, CREDIT, PROVIDER, NONCE, SKEW = -33001, -33003, -33004, -33005, -33006, -33007, -33008


class FailedSettlement(RpcError):
    """A refusal that leaves a slash behind. `events` are to be recorded; each repeat leaves another."""

    def __init__(self, code: int, message: str, slash: str, events: list[ev.Event]) -> None:
        super().__init__(code, message)
        self.slash, self.events = slash, events


def register(market: Market, owner: str, capacity: int, price: int, stake: int, meter: str, law: str) -> ev.ProviderSet:
    """Nothing is debited for the stake."""
    if stake < market.rules.min_stake:
        raise RpcError(PROVIDER, f"stake {stake} below required minimum {market.rules.min_stake}")
    if any(provider["meter_address"] == meter for provider in market.providers.values()):
        raise RpcError(PROVIDER, f"meter address already claimed: {meter}")
    if len(market.providers) >= MAX_PROVIDERS:
        raise RpcError(-32603, "internal error", f"the mock keeps {MAX_PROVIDERS} providers; mock.reset starts over")
    return ev.ProviderSet(
        {
            "available_kwh": capacity,
            "capacity_kwh": capacity,
            "jurisdiction": law,
            "meter_address": meter,
            "owner": owner,
            "price_per_kwh": price,
            "provider_id": f"energy-0x{market.registered:08x}",
            "reputation_score": 1.0,
            "staked_balance": stake,
            "total_delivered_kwh": 0,
        }
    )


def update(market: Market, id_: str, capacity: int | None, price: int | None, law: str | None) -> ev.ProviderSet:
    """A higher capacity does not raise what is available."""
    provider = dict(_provider(market, id_))
    if capacity is not None:
        provider |= {"available_kwh": min(provider["available_kwh"], capacity), "capacity_kwh": capacity}
    if price is not None:
        provider["price_per_kwh"] = price
    if law is not None:
        provider["jurisdiction"] = law
    return ev.ProviderSet(provider)


def accept(market: Market, reading: Reading, height: int, now: int) -> ev.ReadingAccepted:
    """Skew and nonce come before the signature: a caller without a key can learn whether a nonce was used."""
    id_ = reading.provider_id
    provider = _provider(market, id_)
    if (skew := abs(now - reading.timestamp)) > SKEW_SECONDS:
        raise RpcError(SKEW, f"timestamp skew {skew}s exceeds tolerance {SKEW_SECONDS}s")
    last: Meter | None = market.meters.get(id_)
    if last and reading.nonce <= last.nonce:
        raise RpcError(NONCE, f"nonce {reading.nonce} already used for provider")
    if why := why_unverified(reading, market.keys):
        raise RpcError(SIGNATURE, f"signature verification failed: {why}")
    if reading.meter_address != provider["meter_address"]:
        raise RpcError(PROVIDER, f"meter address already claimed: {reading.meter_address}")
    if last and reading.timestamp <= last.timestamp:
        raise RpcError(READING, f"reading timestamp regression for provider {id_}")
    if last and reading.total_kwh < last.total_kwh:
        raise RpcError(READING, f"reading totalized kWh decreased for provider {id_}")
    credit = {
        "amount_kwh": reading.total_kwh - (last.total_kwh if last else 0),
        "meter_hash": meter_hash(reading),
        "provider": id_,
        "timestamp": height,
    }
    return ev.ReadingAccepted(credit, reading.total_kwh, reading.timestamp, reading.nonce)


def settle(state: State, buyer: str, id_: str, kwh: int, hash_: str, now: int) -> list[ev.Event]:
    """The credit's owner is not compared with the provider: anyone's credit settles."""
    market, height = state.energy, state.height
    rules, provider = market.rules, _provider(market, id_)
    fee_bps = treasury_fee_bps(market, now)
    if (available := provider["available_kwh"]) < kwh:
        wanted = f"requested {kwh} kWh but only {available} kWh remain"
        raise RpcError(PROVIDER, f"insufficient capacity for provider {id_}: {wanted}")
    credit = market.credits.get(hash_)
    if credit is None:
        message = f"meter reading hash {listed(hash_)} not tracked"
        raise _failed(state, CREDIT, message, "conflict", provider_of(market, hash_) or id_, hash_, 0, now)
    age = max(height - credit["timestamp"], 0)
    if rules.mode == "batch" and (since := age % (window := max(rules.timeout, 1))):
        raise RpcError(CREDIT, f"settlement gated by batch policy until block {height + window - since}")
    if required := rules.quorum_threshold_ppm:
        actual = kwh * 1_000_000 // max(provider["capacity_kwh"], 1)
        if actual < required:
            message = f"settlement below quorum: required {required} ppm, actual {actual} ppm"
            raise _failed(state, QUORUM, message, "quorum", id_, hash_, kwh, now)
    if rules.timeout and age > rules.timeout:
        message = f"meter reading {listed(hash_)} expired"
        raise _failed(state, CREDIT, message, "expiry", credit["provider"], hash_, kwh, now)
    if (held := credit["amount_kwh"]) < kwh:
        raise RpcError(PROVIDER, f"requested {kwh} kWh exceeds credit {held}")
    price = min(kwh * provider["price_per_kwh"], U64_MAX)
    receipt = {
        "block_settled": height,
        "buyer": buyer,
        "kwh_delivered": kwh,
        "meter_hash": hash_,
        "price_paid": price,
        "seller": id_,
        "slash_applied": _share(price, rules.slashing_rate_bps),
        "treasury_fee": _share(price, fee_bps),
    }
    return [ev.Settled(receipt), *_accrual(state, receipt["treasury_fee"] + receipt["slash_applied"], now)]


def flag(market: Market, hash_: str, reason: str, reporter: str, height: int) -> ev.DisputeSet:
    """A settled reading can be disputed until the next block takes its receipt."""
    if any(d["meter_hash"] == hash_ and d["status"] == "open" for d in market.disputes.values()):
        raise RpcError(CREDIT, f"dispute already open for meter hash {listed(hash_)}")
    provider = provider_of(market, hash_)
    if provider is None:
        raise RpcError(CREDIT, f"meter hash {listed(hash_)} not tracked for disputes")
    return ev.DisputeSet(
        {
            "id": market.last_dispute + 1,
            "meter_hash": hash_,
            "opened_at": height,
            "provider_id": provider,
            "reason": reason,
            "reporter": reporter,
            "resolution_note": None,
            "resolved_at": None,
            "resolver": None,
            "status": "open",
        }
    )


def resolve(market: Market, id_: int, resolver: str, note: str | None, height: int) -> ev.DisputeSet:
    """Only the status changes: no refund, no slash."""
    dispute = market.disputes.get(id_)
    if dispute is None:
        raise RpcError(CREDIT, f"dispute {id_} not found")
    if dispute["status"] != "open":
        raise RpcError(CREDIT, f"dispute {id_} already resolved")
    changed = {"resolution_note": note, "resolved_at": height, "resolver": resolver, "status": "resolved"}
    return ev.DisputeSet({**dispute, **changed})


def treasury_fee_bps(market: Market, now: int) -> int:
    """From utilisation before the settlement, the number of providers and the hour of the node's clock."""
    capacity = sum(provider["capacity_kwh"] for provider in market.providers.values())
    used = sum(max(p["capacity_kwh"] - p["available_kwh"], 0) for p in market.providers.values())
    congestion = min(max(1 + 10 * tanh((used / capacity if capacity else 0.0) - 0.7), 0.5), 2.0)
    liquidity = 1 - min(sqrt(len(market.providers) / 100), 0.3)
    hour = 1 + 0.3 * cos(pi * abs(now // 3600 % 24 - PEAK_HOUR) / 12)
    return int(min(max(BASE_FEE_BPS * congestion * liquidity * hour, 100.0), 1000.0) + 0.5)


def provider_of(market: Market, hash_: str) -> str | None:
    """Whose reading it is: of a live credit, else the seller of a receipt that no block has taken yet."""
    if credit := market.credits.get(hash_):
        owner: str = credit["provider"]
        return owner
    return next((receipt["seller"] for receipt in market.receipts if receipt["meter_hash"] == hash_), None)


def listed(hash_: str) -> str:
    """A hash as the node prints it into messages: its bytes in decimal."""
    return str(list(bytes.fromhex(hash_)))


def _provider(market: Market, id_: str) -> dict[str, Any]:
    provider = market.providers.get(id_)
    if provider is None:
        raise RpcError(PROVIDER, f"unknown provider {id_}")
    return provider


def _failed(
    state: State, code: int, message: str, reason: str, id_: str, hash_: str, kwh: int, now: int
) -> FailedSettlement:
    """The slash is written down and accrued; the provider's stake stays as it is."""
    provider = state.energy.providers.get(id_)
    price = provider["price_per_kwh"] if provider else 0
    amount = min(price * kwh * state.energy.rules.slashing_rate_bps // 10_000, U64_MAX)
    slash = {
        "amount": amount,
        "block_height": state.height,
        "meter_hash": hash_,
        "provider_id": id_,
        "reason": reason,
    }
    return FailedSettlement(code, message, reason, [ev.Slashed(slash), *_accrual(state, amount, now)])


def _accrual(state: State, amount: int, now: int) -> list[ev.BalanceMoved]:
    amount = min(amount, MAX_COUNTER - state.counter)
    return [ev.BalanceMoved("Accrual", amount, None, now)] if amount > 0 else []


def _share(price: int, bps: int) -> int:
    return min(price * bps, U64_MAX) // 10_000
