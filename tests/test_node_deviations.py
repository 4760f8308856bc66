"""Each deviation that the mock can show is shown: the contract without its fault, the build's behaviour with it."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from node_process import NEW_YEAR, NodeProcess, ask, call, fresh_node, payload, post, timelocked
from shown import shows

from handbook import facts
from handbook.control import Refused, Unreachable
from handbook.node import breaking, world
from handbook.node import events as ev
from handbook.node.desk import Desk
from handbook.node.deviations import AT_START, BUILDS, CONTRACT, SWITCHES
from handbook.node.exposition import UNSET, render
from handbook.node.failure import StartFailure
from handbook.node.faults import KINDS
from handbook.node.gate import Caller
from handbook.node.methods import run
from handbook.node.node import Node

BUILD = "0ecc756a"
SUBMIT = "gov.treasury.submit_disbursement"
LEDGER = yaml.safe_load((facts.SNIPPETS / "deviations.yml").read_text())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("deviations"), treasury_balance=1_000_000, clock=NEW_YEAR) as started:
        yield started


@pytest.fixture
def node(shared: NodeProcess) -> NodeProcess:
    shared.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
    return shared


def test_the_ledger_names_faults_that_exist_and_every_switch() -> None:
    named = {entry["fault"] for entry in LEDGER if entry["fault"]}
    assert named <= KINDS.keys() | AT_START
    assert SWITCHES.keys() | AT_START.keys() <= named
    for build in BUILDS.keys() - {CONTRACT}:
        entries = {entry["fault"] for entry in LEDGER if build in entry["builds"]}
        assert BUILDS[build] == entries & (SWITCHES.keys() | AT_START.keys())
    assert len(LEDGER) == 135 and sum(entry["fault"] is not None for entry in LEDGER) == 29
    assert sum("rehearse" in entry for entry in LEDGER) == 68
    assert sum("no_fault" in entry for entry in LEDGER) == 41


def test_the_schema_wants_a_reason_for_an_entry_without_a_fault() -> None:
    schema = json.loads((facts.SNIPPETS / "schemas" / "deviations.json").read_text())
    silent, reasoned = (next(entry for entry in LEDGER if bool(entry["fault"]) is given) for given in (False, True))
    hazard = next(entry for entry in LEDGER if entry["contract"] == "same" and "rehearse" in entry)
    for entry in (
        {name: value for name, value in silent.items() if name != "no_fault"},
        reasoned | {"no_fault": "There is one, so this is wrong."},
        silent | {"rehearse": "Both cannot be."},
        {name: value for name, value in hazard.items() if name != "rehearse"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([entry], schema)
    jsonschema.validate([silent, reasoned, hazard], schema)


@shows("TB-004")
def test_a_submission_that_is_answered_with_an_error_is_stored(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "history_unwritten"})
    with pytest.raises(Refused, match="-32092 treasury storage error"):
        node.rpc.call(SUBMIT, payload(100))
    stored = node.rpc.call("gov.treasury.disbursements")["disbursements"]
    history = node.rpc.call("gov.treasury.balance_history")["snapshots"]
    assert [entry["disbursement"]["id"] for entry in stored] == [1] and len(history) == 1
    assert node.rpc.call(SUBMIT, payload(100))["id"] == 2, "submitted again: due twice"
    (entry,) = node.control.call("mock.journal", {"method": "*submit_disbursement", "failed": True})["entries"]
    assert entry["faults"] == ["history_unwritten"] and entry["changed"]


@shows("TB-033")
def test_a_restart_loses_the_market_once_a_key_was_registered(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        terms = {"capacity_kwh": 9, "jurisdiction": "US_CA", "meter_address": "m", "price_per_kwh": 3, "stake": 5000}
        ask(node, "energy.register_provider", terms)
    for build, keyed, left in ((BUILD, False, 1), (CONTRACT, True, 1), (BUILD, True, 0)):
        with fresh_node(tmp_path, build=build) as node:
            if keyed and build == CONTRACT:
                world.energy(node, {"provider_id": "energy-0x00000000", "public_key_hex": "00" * 32})
                node.commit()
            assert len(node.state.energy.providers) == left, build
            assert node.log.reload() == node.state


@shows("TB-024")
def test_a_default_toml_that_does_not_fit(tmp_path: Path) -> None:
    data = tmp_path / "node-data"
    data.mkdir()
    (data / "default.toml").write_text("[rpc]\nenable_debug = true\n")
    with pytest.raises(StartFailure, match="every key"), fresh_node(tmp_path):
        pass
    assert "max_body_bytes" not in (data / "default.toml").read_text()
    with fresh_node(tmp_path, build=BUILD):
        assert "max_body_bytes" in (data / "default.toml").read_text()


def test_rehearsal_by_control_is_the_fault_of_that_name(node: NodeProcess, tmp_path: Path) -> None:
    assert node.control.call("mock.energy", {"rehearsal": True})["rehearsal"]
    assert [fault["fault"] for fault in node.control.call("mock.fault.list")["faults"]] == ["energy_rehearsal"]
    assert not node.control.call("mock.energy", {"rehearsal": False})["rehearsal"]
    assert node.control.call("mock.fault.list")["faults"] == []
    assert node.control.call("mock.status")["deviations"] == []
    with NodeProcess(tmp_path, build=BUILD) as own, pytest.raises(Refused, match="without --build"):
        own.control.call("mock.energy", {"rehearsal": False})


@shows("TB-001")
def test_a_switch_stands_until_it_is_cleared_and_is_shown(node: NodeProcess) -> None:
    assert node.control.call("mock.status")["deviations"] == []
    fault = node.control.call("mock.fault.add", {"fault": "treasury_unlisted"})
    assert node.control.call("mock.status")["deviations"] == ["treasury_unlisted"]
    for _ in range(2):
        with pytest.raises(Refused, match="-32601 method not found"):
            node.rpc.call("gov.treasury.balance")
    node.control.call("mock.fault.clear", {"id": fault["id"]})
    assert node.rpc.call("gov.treasury.balance")["balance"] == 1_000_000
    node.control.call("mock.fault.add", {"fault": "treasury_unlisted"})
    node.control.call("mock.reset")
    assert node.control.call("mock.status")["deviations"] == []


@shows("TB-005", "TB-006", "TB-007")
def test_aliases(node: NodeProcess) -> None:
    assert node.rpc.call("gov.treasury.list_disbursements", {"status": "draft"})["disbursements"] == []
    node.control.call("mock.fault.add", {"fault": "aliases_off"})
    with pytest.raises(Refused, match="method not found"):
        node.rpc.call("gov.treasury.list_disbursements")
    with pytest.raises(Refused, match="invalid params"):
        node.rpc.call("gov.treasury.disbursements", {"status": "draft"})
    assert node.raw(post(call("balance"), "/rpc")).startswith(b"HTTP/1.1 404 ")


@shows("TB-008", "TB-009", "TB-010")
def test_a_lost_proposal_lets_the_executor_pay_what_nobody_approved(node: NodeProcess) -> None:
    def stored_and_ticked() -> tuple[bool, str]:
        node.control.call("mock.fund", {"account": "treasury", "amount": 50_000})
        node.control.call("mock.epoch", {"set": 4})
        node.control.call("mock.executor", {"mode": "manual"})
        id_ = node.rpc.call(SUBMIT, payload(100, deps=[7]))["id"]
        entry = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]
        assert entry["deps"] == ([] if entry["disbursement"]["proposal"] is None else [7])
        node.control.call("mock.tick")
        after = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]["disbursement"]
        return after["proposal"] is None, next(iter(after["status"]))

    assert stored_and_ticked() == (False, "Draft")
    node.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
    node.control.call("mock.fault.add", {"fault": "proposal_lost"})
    assert stored_and_ticked() == (True, "Executed")
    id_ = node.rpc.call(SUBMIT, payload(100))["id"]
    with pytest.raises(Refused, match="-32092 treasury storage error"):
        node.rpc.call("gov.treasury.queue_disbursement", {"id": id_})


def test_a_proposal_that_was_stored_before_is_lost_too_and_for_good_once_written_back(node: NodeProcess) -> None:
    def proposals() -> list[bool]:
        found = node.rpc.call("gov.treasury.disbursements")["disbursements"]
        return [entry["disbursement"]["proposal"] is not None for entry in reversed(found)]

    for deps in ([7], [8], [9]):
        node.rpc.call(SUBMIT, payload(100, deps=deps))
    fault = node.control.call("mock.fault.add", {"fault": "proposal_lost"})
    assert proposals() == [False] * 3
    with pytest.raises(Refused, match="-32092"):
        node.rpc.call("gov.treasury.queue_disbursement", {"id": 1, "current_epoch": 1})
    node.rpc.call("gov.treasury.execute_disbursement", {"id": 2, "tx_hash": "unapproved", "receipts": []})
    node.control.call("mock.fault.clear", {"id": fault["id"]})
    assert proposals() == [True, False, True], "what was written back is gone, what was only read is not"
    assert node.rpc.call("gov.treasury.disbursement", {"id": 2})["disbursement"]["deps"] == []
    assert node.rpc.call("gov.treasury.disbursement", {"id": 3})["disbursement"]["deps"] == [9]


def test_a_deviation_is_named_by_the_calls_that_it_hits(tmp_path: Path) -> None:
    """In the journal and in the metric alike, each call once; and by no other call."""
    hits: dict[str, tuple[str, Any]] = {
        "aliases_off": ("gov.treasury.list_disbursements", {}),
        "energy_rehearsal": ("energy.settle", {}),
        "energy_unlisted": ("energy.slashes", {}),
        "metrics_unset": ("metrics", None),
        "parse_slow": ("balance", {"address": "x" * 30_000}),
        "proposal_lost": ("gov.treasury.disbursements", {}),
        "treasury_unlisted": ("gov.treasury.balance", {}),
    }
    with fresh_node(tmp_path) as node:
        for _ in range(3):
            ask(node, SUBMIT, payload())
        for name, (method, params) in hits.items():
            breaking.fault_add(node, {"fault": name})
            assert entry_of(node, method, params) == (name,)
            assert entry_of(node, "consensus.difficulty", {}) == ()
            breaking.fault_clear(node, {})
            assert entry_of(node, method, params) == ()
        breaking.fault_add(node, {"fault": "submits_overwritten"})
        together = [Desk(node, "rpc", run).call(call(SUBMIT, payload()), close=False).entry for _ in range(3)]
        node.commit()
        assert [entry.faults for entry in together if entry] == [(), ("submits_overwritten",), ("submits_overwritten",)]
        breaking.fault_add(node, {"fault": "nesting_fatal"})
        deep = Desk(node, "rpc", run).call(b"[" * 20_000, close=False).entry
        assert deep and deep.faults == ("nesting_fatal",)
        counted = re.findall(r'mock_faults_injected_total\{fault="(\w+)"\} (\d+)', render(node))
        assert dict(counted) == {**dict.fromkeys(hits, "1"), "nesting_fatal": "1", "submits_overwritten": "2"}
        assert hits.keys() | {"nesting_fatal", "submits_overwritten"} == SWITCHES.keys() - {
            "labels_unbounded",
            "metrics_serial",
        }, "those two hit no call"


def entry_of(node: Node, method: str, params: Any) -> tuple[str, ...]:
    ask(node, method, params)
    return tuple(node.journal.page(0, None)["entries"][-1]["faults"])


@shows("TB-012")
def test_submissions_that_arrive_together_overwrite_each_other(tmp_path: Path) -> None:
    def submitted(switch: bool) -> tuple[list[int], int, int]:
        with fresh_node(tmp_path / str(switch)) as node:
            if switch:
                node.deviations.add("submits_overwritten")
            ids = [run(node, SUBMIT, payload(amount), Caller())["id"] for amount in (1, 2, 3)]
            node.commit()
            ids.append(run(node, SUBMIT, payload(4), Caller())["id"])
            node.commit()
            assert sum(node.state.statuses.values()) == len(node.state.records)
            return ids, len(node.state.records), node.state.last_snapshot

    (tmp_path / "True").mkdir()
    (tmp_path / "False").mkdir()
    assert submitted(False) == ([1, 2, 3, 4], 4, 5)
    assert submitted(True) == ([1, 1, 1, 2], 2, 5), "acknowledged thrice, stored once; a history entry each"


@shows("TB-025", "TB-026", "TB-027", "TB-028", "TB-112")
def test_metrics_that_the_build_never_sets(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        ask(node, SUBMIT, payload())
        assert all(f"# TYPE {name} " in render(node) for name in UNSET)
        node.deviations.add("metrics_unset")
        assert not any(name in render(node) for name in UNSET)


@shows("TB-031", "TB-032")
def test_energy_methods(tmp_path: Path) -> None:
    register = {"capacity_kwh": 1, "price_per_kwh": 1, "stake": 1000, "meter_address": "m", "jurisdiction": "US_CA"}
    env = {f"TB_RPC_ENERGY_{name}_TOKENS_PER_SEC": "1000" for name in ("READ", "SUBMIT", "SETTLE", "DISPUTE")}
    with NodeProcess(tmp_path, env) as own:
        assert own.rpc.call("energy.slashes", {})["total"] == 0
        own.control.call("mock.fault.add", {"fault": "energy_unlisted"})
        with pytest.raises(Refused, match="method not found"):
            own.rpc.call("energy.slashes", {})
        assert own.rpc.call("energy.register_provider", register)["provider_id"] == "energy-0x00000000"
        own.control.call("mock.fault.add", {"fault": "energy_rehearsal"})
        with pytest.raises(Refused, match=r"-33020 .* blocked: energy market in rehearsal"):
            own.rpc.call("energy.register_provider", {})


def test_a_build_has_all_of_them(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, build="0ecc756a") as own:
        status = own.control.call("mock.status")
        assert status["deviations"] == sorted(BUILDS["0ecc756a"])
        own.control.call("mock.reset")
        assert own.control.call("mock.status")["deviations"] == status["deviations"]


def nested(depth: int) -> bytes:
    return post(b'{"method":"balance","params":' + b"[" * depth + b"]" * depth + b"}")


@shows("TB-002")
def test_a_nested_request_ends_the_node(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        assert b"-32700" in own.raw(nested(60_000))
        fault = own.control.call("mock.fault.add", {"fault": "nesting_fatal"})
        assert b"-32700" in own.raw(nested(5_000)) and own.raw(nested(20_000)) == b""
        own.control.call("mock.fault.clear", {"id": fault["id"]})
        assert b"-32700" in own.raw(nested(60_000))
        own.control.call("mock.fault.add", {"fault": "nesting_fatal"})
        assert own.raw(nested(60_000)) == b"" and own.process.wait(10) == -9
    with NodeProcess(tmp_path) as again:
        (entry,) = again.control.call("mock.journal")["entries"]
        assert entry["faults"] == ["nesting_fatal"]


@shows("TB-003")
def test_a_long_string_holds_everybody_up(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "parse_slow"})
    started = time.monotonic()
    assert b'"amount":0' in node.raw(post(call("balance", {"address": "x" * 100_000})), timeout=30)
    assert time.monotonic() - started >= 0.24
    (entry,) = node.control.call("mock.journal", {"method": "balance"})["entries"]
    assert entry["ok"]


@shows("TB-013")
def test_a_rise_of_the_fee_cancels_for_good(tmp_path: Path) -> None:
    with fresh_node(tmp_path, min_fee_per_byte=1) as node:
        node.record(ev.HeightSet(120), ev.Funded("treasury", 10_000))
        node.start_executor("manual")
        assert node.executor
        paid, cancelled = timelocked(node), timelocked(node)
        node.faults.add("fee_pressure", 1, price=2)
        node.executor.tick()
        found = {id_: ask(node, "gov.treasury.disbursement", {"id": id_}) for id_ in (paid, cancelled)}
        status = {id_: one["result"]["disbursement"]["disbursement"]["status"] for id_, one in found.items()}
        assert status[paid]["RolledBack"]["reason"] == "fee below minimum (code 10)"
        assert "Executed" in status[cancelled], "only the one that met the higher price"


@shows("TB-019")
def test_a_torn_log_line_keeps_the_build_from_starting(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, build=BUILD) as own:
        own.control.call("mock.fund", {"counter": 5})
        own.control.call("mock.fault.add", {"fault": "torn_log_line"})
        with pytest.raises(Unreachable):
            own.control.call("mock.fund", {"counter": 7})
        assert own.process.wait(10) == -9
    with pytest.raises(StartFailure, match="invalid wal record: unexpected end of input"):
        with fresh_node(tmp_path, build=BUILD):
            pass
    with fresh_node(tmp_path, treasury_balance=None) as mended:
        assert mended.state.counter == 5
    with fresh_node(tmp_path, build=BUILD) as again:
        assert again.state.counter == 5


@shows("TB-020", "TB-069")
def test_a_crash_between_two_writes_is_never_repaired(tmp_path: Path) -> None:
    after = {"after_mark": ("Executed", "success", "Executed"), "after_submit": ("Timelocked", "error: ", "Timelocked")}
    for fault, (left, outcome, stays) in after.items():
        with NodeProcess(tmp_path / fault, treasury_balance=1_000, env={"TB_MIN_FEE_PER_BYTE_CONSUMER": "0"}) as own:
            own.control.call("mock.fund", {"account": "treasury", "amount": 1_000})
            own.control.call("mock.epoch", {"set": 1})
            id_ = own.rpc.call(SUBMIT, payload(100))["id"]
            for epoch in (1, 2, 3):
                own.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
            own.control.call("mock.executor", {"mode": "manual", "id": "same"})
            own.control.call("mock.fault.add", {"fault": fault})
            with pytest.raises(Unreachable):
                own.control.call("mock.tick")
        with NodeProcess(tmp_path / fault, env={"TB_MIN_FEE_PER_BYTE_CONSUMER": "0"}) as own:
            assert left in status_of(own) and own.rpc.call("mempool.stats")["size"] == 1
            own.control.call("mock.executor", {"mode": "manual", "id": "same"})
            (said,) = own.control.call("mock.tick")["outcomes"]
            assert said.startswith(outcome) and stays in status_of(own)
            assert own.rpc.call("gov.treasury.balance")["balance"] == 1_000, "paid, and never debited"


def status_of(node: NodeProcess) -> dict[str, object]:
    (entry,) = node.rpc.call("gov.treasury.disbursements")["disbursements"]
    status: dict[str, object] = entry["disbursement"]["status"]
    return status


@shows("TB-029")
def test_a_silent_client_stops_all_scrapes(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        host, port = own.metrics.removeprefix("http://").removesuffix("/metrics").split(":")
        own.control.call("mock.fault.add", {"fault": "metrics_serial"})
        assert scrape(own, 30)
        with socket.create_connection((host, int(port))):
            with pytest.raises(TimeoutError):
                scrape(own, 0.5)
        assert scrape(own, 30), "the silent client has gone"
        own.control.call("mock.reset")
        with socket.create_connection((host, int(port))):
            assert scrape(own, 30), "the contract serves others beside it"


def scrape(node: NodeProcess, timeout: float) -> bytes:
    with urllib.request.urlopen(node.metrics, timeout=timeout) as answer:
        return bytes(answer.read())


@shows("TB-086")
def test_a_damaged_energy_store_drops_every_energy_call(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "close", "method": "energy.*", "times": 0})
    for _ in range(2):
        assert node.raw(post(call("energy.market_state", {}))) == b""
    assert b'"difficulty"' in node.raw(post(call("consensus.difficulty")))


@shows("TB-094")
def test_slow_submissions(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "delay", "method": SUBMIT, "milliseconds": 500, "times": 0})
    started = time.monotonic()
    node.rpc.call("gov.treasury.balance")
    node.rpc.call(SUBMIT, payload(1))
    assert time.monotonic() - started >= 0.5
    (entry,) = node.control.call("mock.journal", {"method": SUBMIT})["entries"]
    assert entry["faults"] == ["delay"]


@shows("TB-107")
def test_labels_grow_without_a_bound(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        reasons = node.metrics.errors
        for number in range(100):
            reasons.add(f"reason {number}")
        assert len(reasons.values) == 33, "32, and other"
        node.deviations.add("labels_unbounded")
        for number in range(100, 200):
            reasons.add(f"reason {number}" + "x" * 1000)
        assert len(reasons.values) == 133


@shows("TB-127")
def test_five_failures_open_the_breaker(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        node.record(ev.HeightSet(120), ev.Funded("treasury", 10_000))
        node.start_executor("manual", lease=10_000_000)
        assert node.executor
        timelocked(node)
        node.faults.add("mempool_full", None)
        said = []
        for _ in range(6):
            said.append(node.executor.tick())
            node.record(ev.ClockSet(node.now() + (1 if len(said) > 4 else 86_400), 0))
        assert said == ["error: mempool full (code 11)"] * 5 + ["error: circuit_breaker_open state=Open"]
