"""The mock answers what the node answered: recorded calls, replayed."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, RECORDINGS, ask, fresh_node

from handbook.node import envelope
from handbook.node import events as ev
from handbook.node.node import Node

CALLS = [json.loads(line) for line in (RECORDINGS / "reference.jsonl").read_text().splitlines()]
SCENARIOS = {
    "fresh_reads": 11,
    "lifecycle_to_executed": 17,
    "submit_checks": 27,
    "deps": 7,
    "liveness": 20,
    "energy_reads_and_errors": 34,
}


def without_times(value: Any, times: re.Pattern[str] = re.compile(rf"\b{NEW_YEAR}\b")) -> Any:
    if isinstance(value, dict):
        return {k: "<time>" if k.endswith("_at") else without_times(v, times) for k, v in value.items()}
    if isinstance(value, list):
        return [without_times(item, times) for item in value]
    return times.sub("<time>", value) if isinstance(value, str) else value


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fresh_mock_answers_as_the_node_did(scenario: str, tmp_path: Path) -> None:
    calls = [call for call in CALLS if call["scenario"] == scenario]
    with fresh_node(tmp_path) as node:
        for call in calls:
            body = {"jsonrpc": "2.0", "id": 1, "method": call["method"]}
            if envelope.parse(json.dumps(body | {"params": call["params"]}).encode()) is None:
                answer = json.loads(envelope.PARSE_ERROR)
            else:
                answer = ask(node, call["method"], call["params"])
            assert call["answer"] == without_times(answer), call
    assert SCENARIOS[scenario] == len(calls)


def test_every_recorded_scenario_is_replayed() -> None:
    recorded = {name: len(list(calls)) for name, calls in groupby(CALLS, key=lambda call: call["scenario"])}
    assert SCENARIOS == recorded


def test_a_result_lists_its_members_in_alphabetical_order(tmp_path: Path) -> None:
    def ordered(value: Any) -> bool:
        if isinstance(value, dict):
            return list(value) == sorted(value) and all(map(ordered, value.values()))
        return all(map(ordered, value)) if isinstance(value, list) else True

    with fresh_node(tmp_path) as node:
        assert all(
            ordered(ask(node, call["method"], call["params"])) for call in CALLS if call["scenario"] in SCENARIOS
        )


TRACE = json.loads((RECORDINGS / "executor-trace.json").read_text())
LOCKED_AFTER = {"the dependency": 2, "before": 5}
"""Disbursements that the recording timelocked without showing the calls, by the note of the step before."""


def test_the_executor_pays_waits_and_ends_as_recorded(tmp_path: Path) -> None:
    """The clock is set to the recorded times, so they are compared too; only the hashes are the mock's own."""
    with fresh_node(tmp_path) as node:
        node.record(ev.HeightSet(316), ev.Funded("treasury", 10_000_000))
        node.start_executor("manual", "node-a", lease=5)
        assert node.executor
        ticked = 0
        for step in TRACE:
            node.record(ev.ClockSet(max(latest(step["answer"]), node.now()), 0))
            if latest(step["answer"], ticks=True) > ticked:
                node.executor.tick()
                ticked = node.now()
            answer = ask(node, step["method"], step["params"])
            assert without_hashes(step["answer"]) == without_hashes(answer), step["note"]
            if step["note"] in LOCKED_AFTER:
                lock(node, LOCKED_AFTER[step["note"]])
        assert "dependency 99 missing for disbursement 5" == node.executor.ended
    assert 18 == len(TRACE)


def latest(answer: Any, ticks: bool = False) -> int:
    """The latest second in an answer; of ticks: of those that only a tick writes."""
    members = "last_tick_at|executed_at|lease_renewed_at" if ticks else "[a-z_]+_at"
    text = json.dumps(answer).replace("lease_expires_at", "")
    return max(map(int, re.findall(rf'(?:{members})"?: (\d{{10}})', text)), default=0)


def lock(node: Node, id_: int) -> None:
    for epoch in (1, 2, 3):
        ask(node, "gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})


def without_hashes(answer: Any) -> Any:
    return json.loads(re.sub(r'"[0-9a-f]{64}"', '"<hash>"', json.dumps(answer)))
