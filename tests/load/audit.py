"""What a node acknowledged against what it stores.

A count of error answers does not see a node that acknowledges two submissions under one id, or acknowledges and
forgets; both happened on build 0ecc756a without one error answer. Only reading back does.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field

RETAINED = 1024
"""Disbursements a node keeps: those with the highest ids."""
PAGE = 200
"""The largest `limit` a node grants."""
TIMEOUT = 10.0
"""Seconds until a call without an answer counts as an error."""
SUBMIT, LIST = "gov.treasury.submit_disbursement", "gov.treasury.disbursements"


@dataclass
class Audit:
    """What the node acknowledged, against what it gives back. A record is found by id and recognised by memo."""

    acknowledged: list[tuple[int, str]] = field(default_factory=list)
    """(id, memo) of each answer to a submission."""
    stored: int = 0
    """Acknowledged submissions that were read back."""
    expired: int = 0
    """Acknowledged, and older than the node's retention before a read-back came to them: nothing can be said."""
    lost: list[tuple[int, str]] = field(default_factory=list)
    _checked: int = 0

    @property
    def duplicates(self) -> int:
        """Answers that carried an id which another answer had carried before."""
        return len(self.acknowledged) - len({disbursement for disbursement, _ in self.acknowledged})

    def read_back(self, url: str) -> None:
        """Looks for everything acknowledged since the last read-back. Raises OSError or LookupError when it cannot."""
        waiting = self.acknowledged[self._checked :]
        if not waiting:
            return
        found = records(url, down_to=min(disbursement for disbursement, _ in waiting))
        # Submissions go on while pages are read, and push out records that a later page would have shown.
        newest = max([*records(url, pages=1), *(disbursement for disbursement, _ in waiting)])
        for disbursement, memo in waiting:
            if found.get(disbursement) == memo:
                self.stored += 1
            elif disbursement <= newest - RETAINED:
                self.expired += 1
            else:
                self.lost.append((disbursement, memo))
        self._checked += len(waiting)


def records(url: str, down_to: int = 0, pages: int = RETAINED) -> dict[int, str]:
    """Memo by id of the stored disbursements, newest first, page by page, as far as id `down_to`."""
    found: dict[int, str] = {}
    cursor: int | None = None
    for _ in range(pages):
        params = {"limit": PAGE, "cursor": cursor}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": LIST, "params": params}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT) as answer:
            envelope = json.load(answer)
        if "error" in envelope:
            raise LookupError(f"{LIST}: {envelope['error']['code']} {envelope['error']['message']}")
        entries = [entry["disbursement"] for entry in envelope["result"]["disbursements"]]
        found.update((entry["id"], entry["memo"]) for entry in entries)
        cursor = envelope["result"]["next_cursor"]
        if cursor is None or not entries or entries[-1]["id"] <= down_to:
            break
    return found
