"""The JSON-RPC envelope as the node reads it.

No batches, no notifications, `jsonrpc` any string, members in alphabetical order.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

U64_MAX = 2**64 - 1
I64_MIN = -(2**63)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_MAYBE_TOO_BIG = re.compile(rb"[0-9]{19}")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")

PARSE_ERROR = b'{"error":{"code":-32700,"message":"parse error"},"id":null,"jsonrpc":"2.0"}'


class Call(NamedTuple):
    method: str
    params: Any
    id: Any


def parse(body: bytes) -> Call | None:
    """None for what the node answers with -32700: anything but one object with a string `method`."""
    try:
        document = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(document) is not dict:
        return None
    method = document.get("method")
    if type(method) is not str or type(document.get("jsonrpc", "")) is not str:
        return None
    if type(document.get("badge", "")) is not str:
        return None
    if _MAYBE_TOO_BIG.search(body) and _too_big(document):
        return None
    return Call(method, document.get("params"), document.get("id"))


def depth(body: bytes) -> int:
    """How deep brackets are nested outside strings, whether or not the rest is JSON."""
    deepest = now = 0
    for bracket in _BRACKETS.findall(_STRING.sub(b"", body)):
        now += 1 if bracket in b"[{" else -1
        deepest = max(deepest, now)
    return deepest


def longest_string(body: bytes) -> int:
    """Bytes, quotes included."""
    return max(map(len, _STRING.findall(body)), default=0)


def result(id_: Any, value: Any) -> bytes:
    return b'{"id":%b,"jsonrpc":"2.0","result":%b}' % (_encode_sorted(id_), _encode(value))


def error(id_: Any, code: int, message: str) -> bytes:
    return b'{"error":{"code":%d,"message":%b},"id":%b,"jsonrpc":"2.0"}' % (
        code,
        _encode(message),
        _encode_sorted(id_),
    )


def _too_big(value: Any) -> bool:
    """Whether an integer in it does not fit 64 bits."""
    if type(value) is int:
        return not I64_MIN <= value <= U64_MAX
    if type(value) is dict:
        return any(map(_too_big, value.values()))
    return type(value) is list and any(map(_too_big, value))
