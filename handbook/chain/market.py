"""A meter on a lane's node that sends signed readings."""

from __future__ import annotations

import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from handbook.chain.lane import Lane
from handbook.node.readings import Reading, digest

CAPACITY = 1_000_000
UNKNOWN = "00" * 32
"""The hash of no reading."""


class Meter:
    """Registered, its key known, by the constructor. `late`: seconds that its readings are old when they arrive."""

    def __init__(self, lane: Lane, address: str = "meter-1") -> None:
        self._lane, self._address = lane, address
        self._key = Ed25519PrivateKey.generate()
        self._total = self._nonce = self._stamp = 0
        self.late = 0
        provider = lane.rpc(
            "energy.register_provider",
            capacity_kwh=CAPACITY,
            price_per_kwh=1,
            stake=1_000_000,
            meter_address=address,
            jurisdiction="US_CA",
            owner="alert-chain",
        )
        self.provider: str = provider["provider_id"]
        public = self._key.public_key().public_bytes_raw().hex()
        lane.mock("energy", provider_id=self.provider, public_key_hex=public, mode="real_time")

    def read(self, *, forged: bool = False) -> str:
        """Sends the next reading, 10 kWh more. The credit's hash. Raises Refused, always when it is forged."""
        total, nonce = self._total + 10, self._nonce + 1
        stamp = max(self._stamp + 1, int(time.time()) - self.late)
        reading = Reading(self.provider, self._address, total, stamp, nonce, b"")
        signature = bytes(64) if forged else self._key.sign(digest(reading))
        if not forged:
            self._total, self._nonce, self._stamp = total, nonce, stamp
        credit: dict[str, Any] = self._lane.rpc(
            "energy.submit_reading",
            provider_id=self.provider,
            meter_address=self._address,
            kwh_reading=total,
            timestamp=stamp,
            nonce=nonce,
            signature=signature.hex(),
        )
        return str(credit["meter_hash"])

    def settle(self, hash_: str, kwh: int = 1) -> None:
        """Raises Refused."""
        self._lane.rpc(
            "energy.settle", provider_id=self.provider, buyer="alert-chain", kwh_consumed=kwh, meter_hash=hash_
        )
