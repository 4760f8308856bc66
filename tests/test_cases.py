"""The cases: all there, each right in itself, and each what the mock answers on its four starts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handbook import facts
from handbook.rpc import bench, cases, coverage, levels, listed, trial
from handbook.rpc.cases import Case

ALL = [case for found in cases.load().values() for case in found]


@pytest.fixture(scope="module")
def nodes() -> Iterator[bench.OwnNodes]:
    with bench.OwnNodes() as started:
        yield started


def test_the_cases_cover_the_description() -> None:
    problems, counts = coverage.check()
    assert [] == problems
    assert {"cases": len(ALL), "errors caused": 150} == counts
    assert len(ALL) >= 308


def test_the_mock_answers_every_case(nodes: bench.OwnNodes) -> None:
    results = trial.run(ALL, nodes, {})
    assert [] == [f"{one.case.id}: {one.told}" for one in results if one.verdict != "passed"]
    assert {"open", "tokens", "starved", "throttled"} == {one.case.node for one in results}


def test_the_first_case_of_a_method_is_its_plainest_success() -> None:
    first = {method: found[0] for method, found in cases.load().items()}
    assert {"gov_rollback", "gov_rollback_last"} == {m for m, case in first.items() if case.error_code is not None}
    assert "a fresh counter holds its first accrual" == first["gov.treasury.balance"].name


def test_a_file_says_what_it_holds() -> None:
    case = next(case for case in ALL if case.id == "gov.treasury.disbursement/an-unknown-id-is-not-found")
    assert ("an unknown id is not found", -32001, False, "open") == (
        case.name,
        case.error_code,
        case.mock_only,
        case.node,
    )


def test_files_are_written_as_update_would_write_them() -> None:
    texts = {file: file.read_text(encoding="utf-8") for file in cases.files()}
    assert [] == [file for file, text in texts.items() if cases.written(json.loads(text)) != text]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(cases.DIRECTORY, tmp_path / "rpc"))


def change(name: str, how: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def changed(directory: Path) -> None:
        file = directory / f"{name}.json"
        data = json.loads(file.read_text())
        how(data)
        file.write_text(json.dumps(data))

    return changed


def add(name: str, **data: Any) -> Callable[[Path], None]:
    def added(directory: Path) -> None:
        file = directory / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        method = data.pop("method", file.parent.name)
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": data.pop("params", {"a": "test"})}
        answer = {"id": 1, "jsonrpc": "2.0", **data.pop("answer")}
        file.write_text(json.dumps({**data, "request": request, "answer": answer}))

    return added


def without(*patterns: str) -> Callable[[Path], None]:
    def removed(directory: Path) -> None:
        found = [file for pattern in patterns for file in directory.glob(f"{pattern}.json")]
        assert found
        for file in found:
            file.unlink()

    return removed


DISBURSEMENT = "gov.treasury.disbursement"
NOT_FOUND = f"{DISBURSEMENT}/an-unknown-id-is-not-found"
DRAFT = f"{DISBURSEMENT}/a-draft-is-shown-whole"
EXECUTED = f"{DISBURSEMENT}/an-executed-disbursement-shows-its-transaction-and-receipts"
METHOD_NOT_FOUND = {"error": {"code": -32601, "message": "method not found"}}


def finalized(data: dict[str, Any]) -> None:
    record = data["answer"]["result"]["disbursement"]["disbursement"]
    record["status"] = {"Finalized": {**record["status"]["Executed"], "finalized_at": 1}}
    data["before"].append(data["before"][0])


def result_of(data: dict[str, Any]) -> Any:
    return data["answer"]["result"]


BAD: dict[str, Callable[[Path], None]] = {
    "balance: no case succeeds": without("balance/*"),
    "energy.settle: no case causes -33006 requested {kwh} kWh exceeds credit {amount}": without(
        "energy.settle/more-than-the-credit-is-refused"
    ),
    "gov_vote: no case causes -32601 method not found": without("gov_vote/without-*"),
    "any method: no case causes -32700 parse error": without("consensus.difficulty/a-number-*"),
    "gov.treasury.balance: no case's answer holds result.executor.staged_intents": without(
        "gov.treasury.balance/a-*executor*", "gov.treasury.balance/a-paid-*"
    ),
    "gov.treasury.balance_history: no case asks with param cursor": without("gov.treasury.balance_history/a-cursor-*"),
    f"{NOT_FOUND}.json:1: not JSON": lambda directory: (directory / f"{NOT_FOUND}.json").write_text("{"),
    f"{NOT_FOUND}.json: $.status: 500 is not one of": change(NOT_FOUND, lambda d: d.update(status=500)),
    f"{NOT_FOUND}.json: $.request: 'params_' is not one of": change(
        NOT_FOUND, lambda d: d["request"].update(params_={})
    ),
    f"{NOT_FOUND}.json: its own answer: $.error: expected an error that is declared": change(
        NOT_FOUND, lambda d: d["answer"]["error"].update(message="disbursement not found")
    ),
    f"{DRAFT}.json: its own answer: $.result.disbursement.deps": change(
        DRAFT, lambda d: result_of(d)["disbursement"].update(deps="none")
    ),
    "gov.treasury.disburse/a-method-that-is-not.json: there is no method gov.treasury.disburse": add(
        "gov.treasury.disburse/a-method-that-is-not", answer=METHOD_NOT_FOUND
    ),
    "balance/it-asks-another.json: asks metrics, and stands with balance": add(
        "balance/it-asks-another", method="metrics", answer={"result": {"amount": 0}}
    ),
    "balance/short.json: its name is no sentence": add("balance/short", answer={"result": {"amount": 0}}),
    "balance/it-bears-a-token.json: bears a token": add(
        "balance/it-bears-a-token", token="admin", answer={"result": {"amount": 0}}
    ),
    "balance/it-calls-before.json: before: there is no method no.such": add(
        "balance/it-calls-before", before=[{"method": "no.such"}], answer={"result": {"amount": 0}}
    ),
    "asks the same as balance/": add(
        "balance/it-asks-once-more", params={"address": "treasury"}, answer={"result": {"amount": 0}}
    ),
    "net.peer_stats_all: -32601 method not found: a case causes it, and it says uncaused": add(
        "net.peer_stats_all/it-is-asked-from-elsewhere", answer=METHOD_NOT_FOUND
    ),
    "gov_rollback: it succeeds after all: succeeds, in spite of x-no-success": add(
        "gov_rollback/it-succeeds-after-all", answer={"result": {"ok": True}}
    ),
    f"{DISBURSEMENT}: result.disbursement.disbursement.status.Finalized is held by a case": change(EXECUTED, finalized),
}


@pytest.mark.parametrize("message", BAD)
def test_a_gap_or_a_wrong_case_is_found(message: str, copy: Path) -> None:
    BAD[message](copy)
    found = [str(problem) for problem in coverage.check(copy)[0]]
    assert any(message in one for one in found), found


def test_what_is_missing_is_named_with_the_file_to_add(copy: Path) -> None:
    without("energy.settle/more-than-the-credit-is-refused")(copy)
    (found,) = coverage.check(copy)[0]
    assert f"add {copy}/energy.settle/A-SENTENCE.json" in str(found)


def case_of(method: str, answer: dict[str, Any]) -> Case:
    request = {"jsonrpc": "2.0", "id": 1, "method": method}
    return Case(
        method, "", Path(method, "x.json"), "open", (), None, request, 200, {"id": 1, "jsonrpc": "2.0"} | answer
    )


BALANCE = next(case for case in ALL if case.id == "gov.treasury.balance/a-fresh-counter-holds-its-first-accrual")
LATER = {"recorded_at": 1_800_000_000}


@pytest.mark.parametrize(
    ("body", "level", "path"),
    [
        (None, "none", "$"),
        ({"id": 2}, "none", "$.id"),
        ({"jsonrpc": "1.0"}, "none", "$.jsonrpc"),
        ({"error": {"code": 1, "message": ""}}, "none", "$"),
        ({"result": {}}, "envelope", "$.result.balance"),
        ({"balance": -1}, "envelope", "$.result.balance"),
        (
            {"result": {"balance": 1_000_000, "executor": None, "last_snapshot": None}},
            "schema",
            "$.result.last_snapshot",
        ),
        ({"balance": 7}, "shape", "$.result.balance"),
        ({}, "exact", ""),
    ],
)
def test_an_answer_reaches_a_level(body: Any, level: str, path: str) -> None:
    answer = json.loads(json.dumps(BALANCE.answer))
    if body is not None and "balance" in body:
        answer["result"] |= body
    else:
        answer = None if body is None else answer | body
    judged = levels.judge(BALANCE, levels.Answered(200, answer))
    assert (level, path) == (judged.level, judged.difference.path if judged.difference else "")


def test_a_misfit_on_a_live_node_is_told_as_its_schema_tells_it() -> None:
    """Its lists may be longer and its nulls filled: what the case shows is no measure there."""
    answer = json.loads(json.dumps(BALANCE.answer))
    answer["result"]["last_snapshot"]["id"] = 0
    judged = levels.judge(BALANCE, levels.Answered(200, answer), live=True)
    assert "$.result.last_snapshot" in str(judged.difference) and "what fits its schema" in str(judged.difference)


def test_times_count_on_a_mock_and_not_on_a_live_node() -> None:
    answer = json.loads(json.dumps(BALANCE.answer))
    answer["result"]["last_snapshot"] |= LATER
    got = levels.Answered(200, answer)
    assert ("shape", "exact") == (levels.judge(BALANCE, got).level, levels.judge(BALANCE, got, live=True).level)


def test_an_error_needs_its_declared_text() -> None:
    case = case_of(DISBURSEMENT, {"error": {"code": -32001, "message": "disbursement 1 not found"}})

    def level(code: int, message: str) -> str:
        body = {"id": 1, "jsonrpc": "2.0", "error": {"code": code, "message": message}}
        return levels.judge(case, levels.Answered(200, body)).level

    assert "exact" == level(-32001, "disbursement 1 not found")
    assert "shape" == level(-32001, "disbursement 2 not found")
    assert "schema" == level(-32602, "invalid params")
    assert "envelope" == level(-32001, "there is none")
    assert "none" == levels.judge(case, levels.Answered(429, case.answer)).level


def test_a_deviation_lists_cases_that_there_are() -> None:
    assert [] == listed.check()
    ids = [case.id for case in ALL]
    assert [ids[0]] == listed.expanded([ids[0]], ids)
    chosen = listed.expanded(["gov_vote/*", "!*/a-vote-*"], ids)
    assert len(chosen) == 2 and all(one.startswith("gov_vote/") for one in chosen)


def test_a_pattern_that_stands_for_no_case_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "load", lambda name: [{"id": "TB-001", "cases": ["gov_vote/no-such-case"]}])
    assert ["snippets/deviations.yml: TB-001: gov_vote/no-such-case stands for no case"] == [
        str(problem).partition("\n")[0] for problem in listed.check()
    ]
