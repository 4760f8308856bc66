"""Ids that a disbursement waits for: those of its proposal, else those its memo names."""

from __future__ import annotations

import re
from typing import Any

import msgspec

LIMIT = 100
MAX_MEMO = 8192
U64_MAX = 2**64 - 1
_ID = re.compile(r"\+?[0-9]+")


def canonical(proposal: dict[str, Any] | None, memo: str) -> list[int]:
    """Sorted, each once, at most 100."""
    return list(proposal["deps"]) if proposal and proposal["deps"] else from_memo(memo)


def from_memo(memo: str) -> list[int]:
    """`depends_on=1,2`, `depends_on: 1, 2`, or a JSON object with a `depends_on` array; anything else names none."""
    memo = memo.strip()
    if not memo or len(memo.encode()) > MAX_MEMO:
        return []
    if memo[0] == "{":
        return ordered(_from_json(memo))
    if memo.startswith(("depends_on=", "depends_on:")):
        return ordered([_parsed(item) for item in memo[11:].split(",")[:LIMIT]])
    return []


def ordered(ids: list[int | None]) -> list[int]:
    return sorted({found for found in ids if found is not None})[:LIMIT]


def _from_json(memo: str) -> list[int | None]:
    try:
        document = msgspec.json.decode(memo)
    except (msgspec.DecodeError, RecursionError):
        return []
    listed = document.get("depends_on") if isinstance(document, dict) else None
    return [_item(item) for item in listed[:LIMIT]] if isinstance(listed, list) else []


def _item(item: Any) -> int | None:
    if isinstance(item, str):
        return _parsed(item)
    if isinstance(item, bool) or not isinstance(item, int | float) or item != int(item):
        return None
    return int(item) if 0 <= item <= U64_MAX else None


def _parsed(text: str) -> int | None:
    text = text.strip()
    if not _ID.fullmatch(text) or int(text) > U64_MAX:
        return None
    return int(text)
