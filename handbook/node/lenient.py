"""Params as most of the node's methods read them: what does not fit counts as absent."""

from __future__ import annotations

from typing import Any

from handbook.node.envelope import U64_MAX


def number(params: Any, name: str, default: int = 0, low: int = 0, high: int = U64_MAX) -> int:
    found = params.get(name) if isinstance(params, dict) else None
    return found if fits(found, low, high) else default  # type: ignore[return-value]


def fits(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def text(params: Any, name: str, default: str = "") -> str:
    found = params.get(name) if isinstance(params, dict) else None
    return found if isinstance(found, str) else default
