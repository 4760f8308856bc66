"""Signed meter readings: Ed25519 over a BLAKE3 digest, and the hash that names the credit."""

from __future__ import annotations

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct


class Reading(Struct, frozen=True):
    """`total_kwh` is the meter's running total, `timestamp` Unix seconds."""

    provider_id: str
    meter_address: str
    total_kwh: int
    timestamp: int
    nonce: int
    signature: bytes


def digest(reading: Reading) -> bytes:
    """What is signed. The fields have no separators: two splits of id and address can give one digest."""
    return blake3(_fields(reading)).digest()


def meter_hash(reading: Reading) -> str:
    """The hash of the reading with its signature, as hex."""
    signature = reading.signature
    return blake3(_fields(reading) + len(signature).to_bytes(4, "little") + signature).hexdigest()


def why_unverified(reading: Reading, keys: dict[str, str]) -> str | None:
    """The node's reason against the signature, None when it holds. `keys`: public keys as hex, by provider.

    The last words were recorded for 64 bytes that are no signature at all; others that fail are given the same.
    """
    key = keys.get(reading.provider_id)
    if key is None:
        return f"provider {reading.provider_id} not registered in verifier registry"
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(reading.signature, digest(reading))
    except (InvalidSignature, ValueError):
        failed = "ed25519 verification failed: invalid signature bytes"
        return f"invalid signature for provider {reading.provider_id}: {failed}"
    return None


def _fields(reading: Reading) -> bytes:
    numbers = (reading.total_kwh, reading.timestamp, reading.nonce)
    text = reading.provider_id + reading.meter_address
    return text.encode(errors="surrogatepass") + b"".join(number.to_bytes(8, "little") for number in numbers)
