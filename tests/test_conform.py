"""`handbook conform`: the contract, the ledger, recorded calls, a node that is not ours."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from node_process import RECORDINGS

from handbook import facts
from handbook.__main__ import LEVELS, STARTS, main
from handbook.node.deviations import SWITCHES
from handbook.pages import examples
from handbook.rpc import bench, cases, listed, recordings, reference, starts, trial
from handbook.rpc.cases import Case
from handbook.target import MockProcess, Target, live_node

BUILD = facts.CONTRACT_BUILD
ALL = [case for found in cases.load().values() for case in found]
LISTED = listed.of_build(BUILD, [case.id for case in ALL])


@pytest.fixture(scope="module")
def contract() -> Iterator[bench.OwnNodes]:
    with bench.OwnNodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def stock() -> Iterator[bench.OwnNodes]:
    with bench.OwnNodes(BUILD) as nodes:
        yield nodes


def handbook(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["conform", *map(str, arguments)])


def with_step(case: Case, control: str, **params: Any) -> Case:
    return replace(case, before=({"control": control, "params": params}, *case.before))


def of(*ids: str) -> list[Case]:
    return [case for case in ALL if case.id in ids]


# The ledger ----------------------------------------------------------------------------------------------------------


def test_the_stock_build_deviates_exactly_as_the_ledger_says(stock: bench.OwnNodes) -> None:
    results = trial.run(ALL, stock, LISTED)
    assert [] == [f"{one.verdict} {one.case.id}: {one.told}" for one in results if one.verdict in trial.BAD]
    counts = Counter(one.verdict for one in results)
    assert {"deviates": len(LISTED), "passed": len(ALL) - len(LISTED)} == counts
    assert len(LISTED) >= 175


def test_a_deviation_that_no_entry_lists_fails(stock: bench.OwnNodes) -> None:
    (result,) = trial.run(of("gov.treasury.balance/params-are-not-looked-at"), stock, {})
    assert ("failed", "$") == (
        result.verdict,
        result.judged and result.judged.difference and result.judged.difference.path,
    )
    assert "$: expected a result, got error -32601 method not found" == result.told


def test_an_entry_that_no_longer_holds_fails(stock: bench.OwnNodes) -> None:
    (case,) = of("consensus.difficulty/params-are-not-looked-at")
    (result,) = trial.run([case], stock, {case.id: ("TB-001",)})
    assert ("mended", "TB-001 lists it, and it holds") == (result.verdict, result.told)


SEEN = sorted({str(entry.get("fault")) for entry in facts.load(listed.FILE) if "cases" in entry})
"""Faults of entries that list cases."""


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_fails_the_cases_of_its_entries_and_no_unlisted_one(fault: str, contract: bench.OwnNodes) -> None:
    results = trial.run([with_step(case, "mock.fault.add", fault=fault) for case in ALL], contract, {})
    failing = {one.case.id for one in results if one.verdict == "failed"}
    own = listed.by_case(lambda entry: entry.get("fault") == fault, [case.id for case in ALL])
    assert set() < set(own) <= failing <= set(LISTED)


def test_the_other_faults_of_the_build_change_no_answer(contract: bench.OwnNodes) -> None:
    """An entry with one of them would have to list what it changes."""
    others = sorted(set(SWITCHES) - set(SEEN))
    broken = ALL
    for fault in others:
        broken = [with_step(case, "mock.fault.add", fault=fault) for case in broken]
    results = trial.run(broken, contract, {})
    assert len(others) >= 2 and [] == [f"{one.case.id}: {one.told}" for one in results if one.verdict != "passed"]


# Recorded calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "count"), [("reference", 116), ("stock", 66)])
def test_recorded_calls_are_answered_as_the_node_did(
    file: str, count: int, contract: bench.OwnNodes, stock: bench.OwnNodes
) -> None:
    found = recordings.read(RECORDINGS / f"{file}.jsonl")
    results = trial.run(found, stock if file == "stock" else contract, {})
    assert [] == [f"{one.case.id}: {one.told}" for one in results if one.verdict != "passed"]
    assert count == len(results)


def test_a_recorded_call_that_differs_is_found(contract: bench.OwnNodes) -> None:
    found = recordings.read(RECORDINGS / "stock.jsonl")
    results = trial.run([case for case in found if case.method == "gov.treasury.balance"], contract, {})
    assert ["failed"] * 3 == [one.verdict for one in results]


def test_the_signed_readings_conform(contract: bench.OwnNodes) -> None:
    """The key is set where the recording reloads its file; the clock went on 3 s before the nonce 5."""
    recorded = json.loads((RECORDINGS / "energy-signed-readings.json").read_text())
    key = {"provider_id": "energy-0x00000000", "public_key_hex": recorded["public_key_hex"]}
    fresh = {"treasury_balance": 0, "clock": recorded["unix_time"]}
    steps: list[cases.Step] = [{"control": "mock.reset", "params": fresh}]
    found = []
    for number, call in enumerate(recorded["calls"]):
        if call["params"].get("nonce") == 5:
            steps.append({"control": "mock.clock", "params": {"set": recorded["unix_time"] + 3}})
        asked = {"method": call["method"], "params": call["params"]}
        path = RECORDINGS / f"energy-signed-readings.json:{number}"
        request = {"jsonrpc": "2.0", "id": 1, **asked}
        answer = call["answer"]
        found.append(Case(call["method"], "", path, "open", tuple(steps), None, request, 200, answer))
        if call["method"] == "config.reload":
            steps.append({"control": "mock.energy", "params": key})
        else:
            steps.append(asked | ({"fails": answer["error"]["code"]} if "error" in answer else {}))
    results = trial.run(found, contract, {})
    assert [] == [f"{one.case.id}: {one.told}" for one in results if one.verdict != "passed"]
    assert len(results) == len(recorded["calls"]) > 20


def test_what_was_recorded_is_answered_again(tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    done = handbook("gov.treasury.*", "--record", file)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(sorted(line) == ["answer", "method", "params", "scenario"] for line in lines)
    assert str(cases.FRESH["clock"]) not in json.dumps([line["answer"] for line in lines])
    again = handbook("--recordings", file)
    assert again.exit_code == 0 and f"{len(lines)} passed" in again.output, again.output


# A node that is not ours ---------------------------------------------------------------------------------------------


@pytest.fixture
def node(mock: Target, mock_process: MockProcess) -> str:
    """A mock that is not said to be one. It has data of its own."""
    control = bench.Control(mock_process.addresses.control or "")
    control.call("mock.fund", {"counter": 5})
    control.close()
    return mock.addresses.node


def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.time, "sleep", lambda seconds: None)


def test_a_live_node_is_only_read(node: str, mock: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    quickly(monkeypatch)
    mock.seen()
    done = handbook("--node", node)
    assert done.exit_code == 0, done.output
    seen = mock.seen()
    called = {call["method"] for call in seen.calls if call["listener"] == "rpc"}
    assert not seen.changed and len(called) > 25
    described = reference.methods()
    assert {"read"} == {described[name]["x-effect"] for name in called & set(described)}
    assert not [name for name in called if "x-hazard" in described.get(name, {})]
    for reason in ("needs a fresh node", "changes the node", starts.NEEDS["tokens"]):
        assert f" not run: {reason}\n" in done.output


def test_writes_are_made_where_they_are_allowed_and_nothing_destructive_unless_named(
    node: str, mock: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    mock.seen()
    named = "gov.treasury.rollback_disbursement"
    done = handbook("gov.treasury.*", "--node", node, "--allow-writes")
    assert done.exit_code == 0 and "1 not run: destructive, and not named" in done.output, done.output
    seen = mock.seen()
    assert seen.changed and named not in {call["method"] for call in seen.calls}
    done = handbook(named, "--node", node, "--also", named)
    assert done.exit_code == 0, done.output
    assert [named] == [call["method"] for call in mock.seen().calls]


def test_a_live_node_gets_fewer_than_20_calls_a_second(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(bench.time, "monotonic", lambda: 1000.0 + sum(slept))
    monkeypatch.setattr(bench.time, "sleep", slept.append)
    assert handbook("gov.treasury.balance_history", "--node", node, "--rate", 10).exit_code == 0
    assert [0, 0.1, 0.1] == pytest.approx(slept)
    assert handbook("--node", node, "--rate", 20).exit_code == 2


def test_a_difference_is_shown_with_its_path(node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quickly(monkeypatch)
    out = tmp_path / "out" / "report.json"
    done = handbook("gov.treasury.balance", "--node", node, "--level", "exact", "--out", out)
    assert done.exit_code == 1
    assert "✗ gov.treasury.balance" in done.output
    difference = "$.result.balance: expected 1000000, got 1000005"
    assert f"snippets/rpc/gov.treasury.balance/params-are-not-looked-at.json:\n  {difference} (exact" in done.output
    report = json.loads(out.read_text())
    assert [] == [error.message for error in examples.validator("conformance").iter_errors(report)]
    assert {"path": "$.result.balance", "expected": "1000000", "got": "1000005"} in [
        one.get("difference") for one in report["cases"]
    ]
    assert {"passed": 0, "failed": 2, "deviates": 0, "mended": 0, "not run": 5} == report["counts"]


def test_a_mock_with_its_control_listener_is_reset_for_every_case(node: str, mock: Target) -> None:
    done = handbook("gov.treasury.*", "--node", node, "--control", mock.addresses.control)
    assert done.exit_code == 0 and " not run" not in done.output.splitlines()[-1], done.output


def test_a_refusal_by_a_limiter_is_no_verdict(tmp_path: Path) -> None:
    process = MockProcess(tmp_path, env=starts.STARTS["starved"])
    try:
        live_node(process.addresses.node).close()
        done = handbook("energy.credits", "--node", process.addresses.node, "--rate", 19)
    finally:
        process.stop()
    assert done.exit_code == 0, done.output
    assert f"4 not run: {trial.LIMITED}\n" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.such"], "Error: no.such: no such method or case (hint: ls snippets/rpc)"),
        (["--build", "deadbeef"], "Error: --build deadbeef: expected one of contract, 0ecc756a"),
        (["--allow-writes"], "are for a node that --node names"),
        (["--node", "http://127.0.0.1:1"], "Error: no answer from http://127.0.0.1:1: "),
        (["--node", "localhost:1"], "Error: 'localhost:1' is not an http:// address"),
        (["--node", "http://127.0.0.1:1", "--control", "x"], "Error: 'x' is not an http:// address"),
        (["--node", "http://127.0.0.1:1", "--token", "root=x"], "Error: --token root=x: expected ROLE=FILE"),
        (["--node", "http://127.0.0.1:1", "--token", "admin=/no/file"], "Error: --token admin=/no/file: No such file"),
        (["--update", "--build", BUILD], "Error: --update takes its answers from mock nodes of the contract"),
        (["--recordings", "/no/file"], "Error: /no/file: "),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    done = handbook(*arguments)
    assert done.exit_code == 1 and message in done.output, done.output
    assert "Traceback" not in done.output


def test_a_broken_recording_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text((RECORDINGS / "stock.jsonl").read_text().splitlines()[0] + '\n{"method": 1}\n')
    assert f"Error: {file}:2: no recorded call" in handbook("--recordings", file).output


def test_update_fills_answers_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "DIRECTORY", tmp_path)
    new, kept = (tmp_path / name for name in ("balance/an-account-is-empty.json", "metrics/the-text-is-shown.json"))
    request = {"jsonrpc": "2.0", "id": 1, "method": "balance", "params": {"address": "x"}}
    for file in (new, kept):
        file.parent.mkdir()
    new.write_text(json.dumps({"request": request}))
    shutil.copy(next((facts.SNIPPETS / "rpc" / "metrics").glob("*.json")), kept)
    before = kept.read_text()
    done = handbook("--update")
    assert done.exit_code == 0 and "balance/an-account-is-empty: rewritten\n" == done.output, done.output
    answer = {"id": 1, "jsonrpc": "2.0", "result": {"amount": 0}}
    assert {"request": request, "answer": answer} == json.loads(new.read_text())
    assert before == kept.read_text(), "a volatile value that fits stays"


def test_the_command_knows_the_starts_and_the_levels() -> None:
    from handbook.rpc import levels

    assert tuple(starts.STARTS) == STARTS and levels.LEVELS == LEVELS


def test_with_tokens_a_live_node_is_asked_what_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quickly(monkeypatch)
    given = []
    for role in ("admin", "provider", "oracle"):
        (tmp_path / role).write_text(starts.TOKENS[role] + "\n")
        given += ["--token", f"{role}={tmp_path / role}"]
    with starts.Started("tokens") as node:
        done = handbook("gov_*", "energy.*s", "gov.treasury.*", "--node", node.caller.url, *given)
        alone = handbook("gov_list", "--node", node.caller.url, "--start", "tokens")
    assert done.exit_code == 0, done.output
    assert starts.NEEDS["tokens"] not in done.output and starts.NEEDS["open"] in done.output
    counts = {line.split()[1]: line.split()[2] for line in done.output.splitlines() if line.startswith("✓")}
    assert {"gov_list": "3", "energy.receipts": "2", "gov.treasury.disbursement": "5"}.items() <= counts.items()
    assert alone.exit_code == 0 and "\n3 not run: needs the token of the admin\n1 method, 5 cases on" in alone.output
