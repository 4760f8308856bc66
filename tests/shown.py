"""Which test shows which entry of the ledger: what an entry says of the mock is proved, or the count does not hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
Entry = dict[str, Any]
SHOWN: dict[str, list[str]] = {}
"""Source of the tests, by id."""


def shows(*ids: str) -> Callable[[Test], Test]:
    """Marks a test as the proof of entries."""

    def mark(test: Test) -> Test:
        for id_ in ids:
            SHOWN.setdefault(id_, []).append(inspect.getsource(test))
        return test

    return mark


def unproved(ledger: list[Entry], shown: Mapping[str, list[str]], at_start: Mapping[str, str]) -> list[str]:
    """Entries that say a mock shows them while no test does, and proofs of what no entry says."""
    found = []
    wanted = {entry["id"]: entry for entry in ledger if entry["fault"] or "rehearse" in entry}
    for id_, entry in wanted.items():
        sources, fault = shown.get(id_, []), entry["fault"]
        if not sources:
            found.append(f"{id_}: no test shows it")
            continue
        switch = "BUILD" if fault in at_start else f'"{fault}"'
        if fault and not any(switch in source for source in sources):
            found.append(f"{id_}: no test of it uses the fault {fault}")
    return found + [f"{id_}: a test shows it, and the entry says that no mock does" for id_ in shown.keys() - wanted]
