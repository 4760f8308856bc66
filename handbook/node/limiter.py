"""Token buckets per client address: burst equals rate, one token a call, a ban when the bucket is empty.

As in the node: the refused call itself answers -32001, calls during the ban answer -32002 and do not lengthen it, and
a client is forgotten some time after its last call that was not a ban refusal, which may cut a long ban short.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from handbook.node.config import Limits
from handbook.node.exposition import Metrics
from handbook.node.state import Bucket

RATE_LIMITED = (-32001, "rate limited")
BANNED = (-32002, "banned")


@dataclass
class _Client:
    tokens: float
    last: float
    banned_until: float | None = None


class Limiter:
    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._clients: dict[str, _Client] = {}

    def refuse(self, address: str, now: float) -> tuple[int, str] | None:
        """None lets the call through; else the code and message to answer with. `now` is a monotonic second."""
        rate, metrics = self._limits.tokens_per_second, self._metrics
        metrics.limiter_attempts += 1
        client = self._clients.get(address)
        if client is None or int(now - client.last) > self._limits.forget_seconds:
            self._sweep(now)
            client = self._clients[address] = _Client(rate, now)
        if client.banned_until is not None:
            if client.banned_until > now:
                metrics.limiter_rejects += 1
                metrics.client_errors.add("2001")
                return BANNED
            client.banned_until = None
        client.tokens = min(client.tokens + (now - client.last) * rate, rate)
        client.last = now
        if client.tokens >= 1:
            client.tokens -= 1
            return None
        client.banned_until = now + self._limits.ban_seconds
        metrics.limiter_rejects += 1
        metrics.limiter_bans += 1
        metrics.client_errors.add("2000")
        return RATE_LIMITED

    def tokens(self, newest: int) -> dict[str, float]:
        """What the clients that came last had left after their last call, newest first."""
        return {address: client.tokens for address, client in islice(reversed(self._clients.items()), newest)}

    def buckets(self, now: float) -> list[Bucket]:
        """What is remembered of every client, in seconds before and after `now`."""
        return [
            Bucket(address, client.tokens, now - client.last, client.banned_until and client.banned_until - now)
            for address, client in self._clients.items()
        ]

    def restore(self, buckets: list[Bucket], now: float) -> None:
        """Forgets everybody else. No time has passed for those that come back."""
        self._clients = {
            kept.address: _Client(kept.tokens, now - kept.idle, None if kept.banned is None else now + kept.banned)
            for kept in buckets
        }

    def _sweep(self, now: float) -> None:
        for address in [a for a, c in self._clients.items() if int(now - c.last) > self._limits.forget_seconds]:
            del self._clients[address]
