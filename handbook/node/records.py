"""Stored disbursements, as the node's store gives them back.

With the deviation `proposal_lost` that is without their proposals, whenever they were stored; what is written after
such a reading is stored without, for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from handbook.node import dependencies
from handbook.node import events as ev
from handbook.node.failure import Refused
from handbook.node.shelf import ANY
from handbook.node.state import MARKS, Entry

if TYPE_CHECKING:
    from handbook.node.node import Node

LOST = "proposal_lost"


def get(node: Node, id_: int) -> Entry | None:
    found: Entry | None = node.state.records.get(id_)
    return _read(node, found) if found and LOST in node.deviations else found


def find(node: Node, id_: int) -> Entry:
    """Raises Refused for an id that is not stored."""
    found = get(node, id_)
    if found is None:
        raise Refused(f"unknown treasury disbursement id {id_}")
    return found


def newest_first(node: Node, start: int, wanted: int = ANY) -> Iterator[Entry]:
    """From id `start` down, without pages that bear none of the `wanted` marks."""
    found = node.state.records.descending(start, wanted)
    return (_read(node, entry) for entry in found) if LOST in node.deviations else found


def oldest_first(node: Node, wanted: int) -> Iterator[Entry]:
    """The same, upwards. A lost proposal makes every draft one that needs no approval."""
    if LOST not in node.deviations:
        return node.state.records.ascending(wanted)
    return (_read(node, entry) for entry in node.state.records.ascending(wanted | MARKS["Draft"]))


def written(node: Node, id_: int, events: list[ev.Event]) -> list[ev.Event]:
    """The events of a change, and first what reading the record has cost it."""
    if events and LOST in node.deviations and node.state.records[id_]["disbursement"]["proposal"] is not None:
        return [ev.ProposalLost(id_), *events]
    return events


def _read(node: Node, entry: Entry) -> Entry:
    record = entry["disbursement"]
    if record["proposal"] is None:
        return entry
    node.hit(LOST)
    return {"deps": dependencies.from_memo(record["memo"]), "disbursement": {**record, "proposal": None}}
