"""Params of the energy methods, read as the node reads them: member by member, the first that is wrong is named.

Optional members that do not fit count as absent.
"""

from __future__ import annotations

import re
from typing import Any

from handbook.node.failure import RpcError, invalid_params
from handbook.node.market import U64_MAX

Params = dict[str, Any]
HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def u64(value: Any) -> int | None:
    """5.0 is 5; None for what the node does not read as a number of its own."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= U64_MAX else None


def number(params: Params, name: str, default: int) -> int:
    value = u64(params.get(name, default))
    if value is None:
        raise invalid_params()
    return value


def _missing(name: str) -> RpcError:
    return RpcError(-32602, f"missing or invalid '{name}'")


def whole(params: Params, name: str) -> int:
    value = u64(params.get(name))
    if value is None:
        raise _missing(name)
    return value


def text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise _missing(name)
    return value


def maybe_whole(params: Params, name: str) -> int | None:
    return u64(params.get(name))


def maybe_text(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value if isinstance(value, str) else None


def meter_hash(params: Params) -> str:
    found = text(params, "meter_hash")
    if not HEX.fullmatch(found):
        raise RpcError(-32602, "meter hash must be hex-encoded 32 bytes")
    if len(found) != 64:
        raise RpcError(-32602, "meter hash must be 32 bytes")
    return found.lower()
