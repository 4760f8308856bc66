"""The calls that were made, newest kept: a ring of 10 000, so that a test or a page can prove what it did."""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

CAPACITY = 10_000
MAX_PARAMS = 2048
MAX_METHOD = 256
"""Characters kept of a method's name: a client may send one of a mebibyte."""


class Call(msgspec.Struct, gc=False):
    """One call. `body` is the request as it came, or None; parameters are only decoded when somebody asks."""

    seq: int
    at: int
    listener: str
    method: str | None
    body: bytes | None
    code: int | None = None
    message: str | None = None
    reason: str | None = None
    ok: bool = True
    changed: bool = False
    faults: tuple[str, ...] = ()


class Filter(NamedTuple):
    """What None leaves open. `method`: a name or a pattern such as `energy.*`."""

    method: str | None = None
    listener: str | None = None
    failed: bool | None = None

    def takes(self, call: Call) -> bool:
        return (
            (self.method is None or fnmatchcase(call.method or "", self.method))
            and (self.listener is None or call.listener == self.listener)
            and (self.failed is None or call.ok != self.failed)
        )


ALL = Filter()


class Journal:
    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._calls: deque[Call] = deque(maxlen=CAPACITY)
        self.next = 1
        self.writes = 0

    def add(self, at: int, listener: str, method: str | None, body: bytes) -> Call:
        kept = body if len(body) <= 2 * MAX_PARAMS else body[: 2 * MAX_PARAMS]
        call = Call(self.next, at, listener, method[:MAX_METHOD] if method else method, kept)
        self.next += 1
        self._calls.append(call)
        return call

    def page(self, since: int, limit: int | None, wanted: Filter = ALL) -> dict[str, Any]:
        """Calls numbered `since` and later; `next` is what to ask for the next time."""
        found = [call for call in self._calls if call.seq >= since and wanted.takes(call)]
        cut = limit is not None and len(found) > limit
        found = found[:limit]
        return {
            "dropped": self.next - 1 - len(self._calls),
            "entries": [_shown(call) for call in found],
            "next": found[-1].seq + 1 if cut else self.next,
        }


def _shown(call: Call) -> dict[str, Any]:
    error = None
    if not call.ok:
        error = {"code": call.code, "message": call.message}
        if call.reason:
            error["reason"] = call.reason
    return {
        "at": call.at,
        "changed": call.changed,
        "error": error,
        "faults": list(call.faults),
        "listener": call.listener,
        "method": call.method,
        "ok": call.ok,
        "params": _params(call),
        "seq": call.seq,
    }


def _params(call: Call) -> Any:
    if call.method is None or call.body is None:
        return None
    try:
        params = msgspec.json.decode(call.body).get("params")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return call.body[:MAX_PARAMS].decode(errors="replace")
    text = msgspec.json.encode(params)
    return params if len(text) <= MAX_PARAMS else text[:MAX_PARAMS].decode(errors="replace")
