"""The control listener: strict params, complete reset, a journal that tells what changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, NodeProcess, ask, call, fresh_node, payload, post

from handbook.control import Refused
from handbook.node import control, members, methods
from handbook.node.faults import KINDS
from handbook.node.journal import CAPACITY, Journal


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("control"), treasury_balance=1_000_000, clock=NEW_YEAR) as started:
        yield started


@pytest.fixture(autouse=True)
def fresh(node: NodeProcess) -> None:
    node.control.call("mock.fault.clear")
    node.control.call("mock.reset")


def test_status_of_a_fresh_node(node: NodeProcess) -> None:
    status = node.control.call("mock.status")
    assert 16 == len(status.pop("boot_id"))
    assert {
        "build": "contract", "clock": {"frozen": True, "now": NEW_YEAR}, "deviations": [], "epoch": 0, "events": 2,
        "executor": {"alive": False, "ended": None, "identity": None, "mode": "off"}, "height": 0, "writes": 0,
    } == status  # fmt: skip


def test_a_reset_forgets_everything(node: NodeProcess) -> None:
    before = node.control.call("mock.status")
    metrics = node.rpc.call("metrics")
    node.control.call("mock.reset")
    node.rpc.call("gov.treasury.submit_disbursement", payload())
    for method, params in (
        ("mock.clock", {"advance": 5, "freeze": False}), ("mock.epoch", {"set": 3}), ("mock.fund", {"counter": 7}),
        ("mock.fund", {"account": "treasury", "amount": 9}), ("mock.executor", {"mode": "manual"}), ("mock.tick", {}),
        ("mock.fault.add", {"fault": "mempool_full", "times": 0}),
    ):  # fmt: skip
        node.control.call(method, params)
    assert 6 == node.control.call("mock.status")["writes"]
    assert before == node.control.call("mock.reset") == node.control.call("mock.status")
    assert [] == node.control.call("mock.journal")["entries"] == node.control.call("mock.fault.list")["faults"]
    balance = node.rpc.call("gov.treasury.balance")
    assert (1_000_000, 1, None) == (balance["balance"], balance["last_snapshot"]["id"], balance["executor"])
    assert 1 == node.rpc.call("gov.treasury.submit_disbursement", payload())["id"]
    node.control.call("mock.reset")
    assert without_requests(metrics) == without_requests(node.rpc.call("metrics"))


def without_requests(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("mock_listener_requests_total", "rpc_"))]


def test_a_reset_takes_another_start(node: NodeProcess) -> None:
    status = node.control.call("mock.reset", {"treasury_balance": 0, "clock": 5, "height": 241, "executor": "manual"})
    assert (241, 2, 5, "manual") == (
        status["height"],
        status["epoch"],
        status["clock"]["now"],
        status["executor"]["mode"],
    )
    assert {"balance": 0, "executor": None, "last_snapshot": None} == node.rpc.call("gov.treasury.balance")


def test_a_frozen_clock_stands_moves_and_is_let_go(node: NodeProcess) -> None:
    steer = node.control.call
    assert {"frozen": True, "now": NEW_YEAR + 90} == steer("mock.clock", {"advance": 90})
    assert {"frozen": True, "now": 1000} == steer("mock.clock", {"set": 1000})
    assert {"frozen": False, "now": 1000} == steer("mock.clock", {"freeze": False})
    time.sleep(1.05)
    assert 1001 <= steer("mock.clock", {})["now"] <= 1003
    assert 5001 <= steer("mock.clock", {"advance": 4000})["now"] <= 5003
    frozen = steer("mock.clock", {"freeze": True})["now"]
    assert {"frozen": True, "now": frozen} == steer("mock.clock", {})


def test_mining_moves_the_height_and_the_chain_balances(node: NodeProcess) -> None:
    steer = node.control.call
    assert {"epoch": 0, "height": 1, "transactions": 0} == steer("mock.mine")
    assert {"epoch": 1, "height": 120} == steer("mock.epoch", {"advance": 1})
    assert {"epoch": 1, "height": 120} == steer("mock.epoch", {"set": 1})
    assert {"account": "treasury", "amount": 50} == steer("mock.fund", {"account": "treasury", "amount": 50})
    assert {"amount": 50} == node.rpc.call("balance", {"address": "treasury"})
    assert {"balance": 1_000_010} == steer("mock.fund", {"counter": 10})
    assert 2 == node.rpc.call("gov.treasury.balance")["last_snapshot"]["id"]


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("mock.mine", {"blocks": 0}, "blocks: expected an integer from 1 to 1000000, got 0"),
        ("mock.mine", {"blocks": "1"}, 'blocks: expected an integer from 1 to 1000000, got "1"'),
        ("mock.mine", {"count": 1}, "count: no such member; mock.mine takes blocks"),
        ("mock.status", {"x": 1}, "x: no such member; mock.status takes none"),
        ("mock.status", [1], "params: expected an object, got [1]"),
        ("mock.clock", {"freeze": 1}, "freeze: expected true or false, got 1"),
        ("mock.clock", {"set": 1, "advance": 1}, "set: expected either set or advance, not both, got 1"),
        ("mock.epoch", {}, "set or advance: expected one of the two"),
        ("mock.fund", {}, "counter or account: expected one of the two"),
        ("mock.fund", {"account": "a"}, f"amount: expected an integer from 0 to {2**63 - 1}, got none"),
        (
            "mock.fund",
            {"counter": 2**63 - 1},
            f"counter: expected at most {2**63 - 1} in the treasury, got {2**63 - 1}",
        ),
        ("mock.executor", {}, "mode: expected one of off, manual, timer, got none"),
        ("mock.executor", {"mode": "on"}, 'mode: expected one of off, manual, timer, got "on"'),
        ("mock.tick", {}, 'the executor is off (hint: mock.executor {"mode": "manual"})'),
        ("mock.fault.add", {"fault": "x"}, f'fault: expected one of {", ".join(KINDS)}, got "x"'),
        ("mock.fault.add", {"fault": "delay"}, "milliseconds: expected an integer from 1 to 300000, got none"),
        ("mock.fault.add", {"fault": "after_mark", "price": 2}, "price: expected no such member for after_mark, got 2"),
    ],
)
def test_a_wrong_param_is_named_with_what_was_expected(
    node: NodeProcess, method: str, params: Any, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        _raw(node, method, params)
    assert (-32602, message) == (refused.value.code, refused.value.message)
    assert 0 == node.control.call("mock.status")["writes"]


def _raw(node: NodeProcess, method: str, params: Any) -> None:
    answer = json.loads(node.control._post(call(method, params).decode()))
    raise Refused(method, answer["error"]["code"], answer["error"]["message"])


def test_an_epoch_in_the_past_is_refused(node: NodeProcess) -> None:
    node.control.call("mock.epoch", {"set": 4})
    with pytest.raises(Refused, match="an epoch from 4 on, a chain does not shrink"):
        node.control.call("mock.epoch", {"set": 3})


def test_an_unknown_control_method_lists_the_known_ones(node: NodeProcess) -> None:
    with pytest.raises(Refused, match=r"mock\.x: no such method; there are mock\.clock, ") as refused:
        node.control.call("mock.x")
    assert -32601 == refused.value.code
    with pytest.raises(Refused, match="method not found"):
        node.rpc.call("mock.status")
    assert set(members.MEMBERS) <= set(control.METHODS) and len(control.METHODS) == 24


def test_the_journal_tells_calls_from_changes(node: NodeProcess) -> None:
    node.rpc.call("gov.treasury.balance")
    node.rpc.call("gov.treasury.submit_disbursement", payload(memo="m" * 3000))
    with pytest.raises(Refused):
        node.rpc.call("gov.treasury.execute_disbursement", {"id": 1, "tx_hash": "x", "receipts": []})
    node.control.call("mock.mine")
    node.raw(post(b"{"))
    journal = node.control.call("mock.journal")
    assert [
        (1, "rpc", "gov.treasury.balance", True, False), (2, "rpc", "gov.treasury.submit_disbursement", True, True),
        (3, "rpc", "gov.treasury.execute_disbursement", False, False), (4, "control", "mock.mine", True, True),
        (5, "rpc", None, False, False),
    ] == [(e["seq"], e["listener"], e["method"], e["ok"], e["changed"]) for e in journal["entries"]]  # fmt: skip
    assert 2048 == len(journal["entries"][1]["params"]), "a long body is cut"
    assert {
        "code": -32092, "message": "treasury storage error",
        "reason": "disbursement 1 requires governance approval; advance through voting first",
    } == journal["entries"][2]["error"]  # fmt: skip
    assert {"id": 1, "receipts": [], "tx_hash": "x"} == journal["entries"][2]["params"]
    assert (6, 0) == (journal["next"], journal["dropped"])
    page = node.control.call("mock.journal", {"since": 2, "limit": 2})
    assert ([2, 3], 4) == ([e["seq"] for e in page["entries"]], page["next"])
    assert 2 == node.control.call("mock.status")["writes"]


def test_the_journal_is_bounded_and_counts_what_it_dropped() -> None:
    journal = Journal()
    for _ in range(CAPACITY + 5):
        journal.add(0, "rpc", "m", b"{}")
    page = journal.page(0, None)
    assert (5, CAPACITY, 6, CAPACITY + 6) == (
        page["dropped"],
        len(page["entries"]),
        page["entries"][0]["seq"],
        page["next"],
    )


def test_a_lost_answer_was_stored_and_a_late_one_keeps_its_place(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "drop_answer", "method": "gov.treasury.submit_disbursement"})
    assert b"" == node.raw(post(call("gov.treasury.submit_disbursement", payload())))
    assert 1 == len(node.rpc.call("gov.treasury.disbursements")["disbursements"])
    node.control.call("mock.fault.add", {"fault": "delay", "milliseconds": 100, "times": 1})
    started = time.monotonic()
    received = node.raw(post(call("consensus.difficulty", None, 1)) + post(call("balance", None, 2)))
    assert time.monotonic() - started > 0.09  # a timer counts whole milliseconds from the start of its turn
    assert received.index(b'{"id":1') < received.index(b'{"id":2')
    assert 'mock_faults_injected_total{fault="drop_answer"} 1' in node.rpc.call("metrics")


def test_a_result_that_breaks_its_schema_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fresh_node(tmp_path) as node:
        monkeypatch.setitem(methods.METHODS, "consensus.difficulty", lambda node, params: {"difficulty": "1"})
        assert {"code": -32603, "message": "internal error"} == ask(node, "consensus.difficulty")["error"]
        assert (
            'consensus.difficulty result at difficulty: "1" is not of type "integer"'
            == (node.journal.page(0, None)["entries"][0]["error"]["reason"])
        )


def test_every_call_says_what_it_does_and_the_page_shows_all() -> None:
    from handbook.macros.control import control_faults, control_methods

    assert [name for name, handler in control.METHODS.items() if not (handler.__doc__ or "").strip()] == []
    assert control_methods().count("\n| [`mock.") == len(control.METHODS)
    assert [kind for kind in KINDS if f"| `{kind}` |" not in control_faults()] == []


@pytest.mark.parametrize(
    ("method", "params", "near"),
    [
        ("gov.treasury.disbursments", {}, "the nearest method is gov.treasury.disbursements"),
        ("x", {}, None),
        ("gov.treasury.disbursement", {"ID": 7}, "id is missing; ID is no param of gov.treasury.disbursement"),
        ("gov.treasury.disbursement", {"id": "7"}, 'id: "7" is not of type'),
        ("gov.treasury.disbursement", [7], "id is missing"),
        ("gov.treasury.disbursements", {"status": "nope"}, "status: "),
    ],
)
def test_a_near_miss_is_in_the_journal_and_not_on_the_wire(
    node: NodeProcess, method: str, params: Any, near: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        node.rpc.call(method, params)
    error = node.control.call("mock.journal")["entries"][-1]["error"]
    assert (near is None) == ("near" not in error)
    assert (near or "") in error.get("near", "") and (not near or near not in str(refused.value))
