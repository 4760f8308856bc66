"""No documented member or error of an answer can change without a case that fails; nor, for some, without a page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from handbook import facts
from handbook.rpc import bench, cases, mutations, trial
from handbook.rpc.fields import Field
from handbook.rpc.mutations import Mutation
from handbook.rpc.trial import Result

ALL = [case for found in cases.load().values() for case in found]
SHORT, WHOLE = "docs/index.md", "docs/TREASURY_RPC_ENDPOINTS.md"


@pytest.fixture(scope="module")
def results() -> list[Result]:
    with bench.OwnNodes() as nodes:
        return trial.run(ALL, nodes, {})


def test_every_mutation_is_noticed_by_a_case(results: list[Result]) -> None:
    score = mutations.score(results)
    assert () == score.survivors
    assert score.total >= 1750
    assert str(score).endswith(f"{score.total} caught (100.0 %)")


def test_each_kind_is_tried_on_members_items_and_errors() -> None:
    found = [mutation for method in cases.load() for mutation in mutations.all_of(method)]
    counts = Counter((isinstance(one.what, Field), one.kind) for one in found)
    assert counts[True, "drop"] == counts[True, "rename"] > 300
    assert counts[True, "retype"] > counts[True, "drop"]
    assert counts[False, "code"] == counts[False, "message"] == 146


def test_without_its_case_a_mutation_survives(results: list[Result]) -> None:
    left = [one for one in results if one.case.id != "energy.settle/more-than-the-credit-is-refused"]
    message = "requested {kwh} kWh exceeds credit {amount}"
    assert ["energy.settle: code error -33006 " + message, "energy.settle: message error -33006 " + message] == [
        str(one) for one in mutations.score(left).survivors
    ]


def test_a_case_that_looks_at_types_only_lets_values_pass(results: list[Result]) -> None:
    """The same answers, held to cases that take them as they come: everything survives."""
    blind = [
        replace(one, case=replace(one.case, answer=body), answered=replace(one.answered, body=body))
        for one in results
        if one.case.method == "balance" and one.answered and (body := one.answered.body)
    ]
    mutation = Mutation("balance", Field(("amount",)), "change")
    assert mutations.is_caught(mutation, blind)
    changed = [mutations.mutated(mutation, one.case.answer) for one in blind]
    accepting = [
        replace(one, case=replace(one.case, answer=new)) for one, new in zip(blind, changed, strict=True) if new
    ]
    assert len(accepting) == len(blind) and not mutations.is_caught(mutation, accepting)


BREAKING = """
import json, os
from handbook.rpc import mutations
from handbook.rpc.fields import Field
from handbook.node import methods

broken, plain = json.loads(os.environ["BROKEN"]), methods.run

def run(node, method, params, caller):
    result = plain(node, method, params, caller)
    if method == broken["method"]:
        mutations.change(result, Field(tuple(broken["path"])), broken["kind"])
    return result

methods.run = run
"""


def broken_node(directory: Path, method: str, path: list[str], kind: str) -> dict[str, str]:
    """The environment in which every `handbook node` answers one member otherwise."""
    (directory / "sitecustomize.py").write_text(BREAKING)
    broken = json.dumps({"method": method, "path": path, "kind": kind})
    return {**os.environ, "PYTHONPATH": str(directory), "BROKEN": broken}


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("method", "path", "kind", "page"),
    [
        ("gov.treasury.balance", ["balance"], "rename", SHORT),
        pytest.param("gov.treasury.balance", ["last_snapshot", "event"], "retype", WHOLE, marks=LONG),
        pytest.param("gov.treasury.disbursements", ["next_cursor"], "drop", WHOLE, marks=LONG),
        pytest.param("gov.treasury.submit_disbursement", ["created_at"], "retype", WHOLE, marks=LONG),
        pytest.param("gov.treasury.balance_history", ["snapshots", "*", "delta"], "change", WHOLE, marks=LONG),
    ],
)
def test_a_node_with_one_broken_member_fails_a_case_and_a_page(
    method: str, path: list[str], kind: str, page: str, tmp_path: Path
) -> None:
    env = broken_node(tmp_path, method, path, kind)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "handbook", *map(str, arguments)]
        return subprocess.run(command, env=env, cwd=facts.ROOT, capture_output=True, text=True, check=False)

    held = run("conform", method)
    assert held.returncode == 1 and f"snippets/rpc/{method}/" in held.stderr, held.stdout + held.stderr
    assert f".{path[-1]}: expected" in held.stderr
    shown = run("verify", page, "--report", tmp_path / "report.json")
    assert shown.returncode == 1 and f"{page}:" in shown.stderr, shown.stdout + shown.stderr
