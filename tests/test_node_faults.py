"""Faults as a client sees them on its socket, each counted in the journal and in a metric."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_process import NEW_YEAR, NodeProcess, call, fresh_node, payload, post

from handbook.control import Refused
from handbook.node.deviations import SWITCHES
from handbook.node.faults import COMMIT_POINTS, CRASH_POINTS, KINDS, STORAGE, WIRE, Faults

BALANCE = "gov.treasury.balance"
SUBMIT = "gov.treasury.submit_disbursement"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("faults"), treasury_balance=1_000_000, clock=NEW_YEAR) as started:
        yield started


@pytest.fixture
def node(shared: NodeProcess) -> NodeProcess:
    shared.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
    return shared


def injected(node: NodeProcess) -> dict[str, int]:
    text = httpx.get(node.metrics).text
    return {name: int(n) for name, n in re.findall(r'mock_faults_injected_total\{fault="(\w+)"\} (\d+)', text)}


def last_entry(node: NodeProcess) -> dict[str, Any]:
    entries = node.control.call("mock.journal")["entries"]
    return [entry for entry in entries if entry["listener"] == "rpc"][-1]


def received(node: NodeProcess, method: str = BALANCE, params: Any = None, timeout: float = 5) -> tuple[bytes, str]:
    """What came, and how it ended: closed, reset or late."""
    data = b""
    with socket.create_connection(node.address, timeout=timeout) as connection:
        connection.sendall(post(call(method, params)))
        try:
            while part := connection.recv(65536):
                data += part
                head, found, body = data.partition(b"\r\n\r\n")
                if found and len(body) >= int(re.search(rb"content-length: (\d+)", head)[1]):  # type: ignore[index]
                    return data, "whole"
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, "late"
    return data, "closed"


def test_close_does_nothing_and_drop_answer_does_it_untold(node: NodeProcess) -> None:
    for fault, stored in (("close", 0), ("drop_answer", 1), ("reset", 1)):
        node.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
        node.control.call("mock.fault.add", {"fault": fault, "method": SUBMIT})
        data, end = received(node, SUBMIT, payload(7))
        assert (data, end) == (b"", "reset" if fault == "reset" else "closed"), fault
        assert last_entry(node)["faults"] == [fault]
        assert len(node.rpc.call("gov.treasury.disbursements")["disbursements"]) == stored, fault
        assert injected(node) == {fault: 1}
        assert received(node, SUBMIT, payload(7))[1] == "whole", "a fault hits once unless it is told otherwise"


def test_error_and_status_are_answered_instead(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "error", "code": -32603, "message": "internal error"})
    with pytest.raises(Refused, match="-32603 internal error"):
        node.rpc.call(BALANCE)
    node.control.call("mock.fault.add", {"fault": "http_status", "status": 503})
    assert received(node)[0].startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert injected(node) == {"error": 1, "http_status": 1}


def test_truncated_body_announces_what_it_does_not_send(node: NodeProcess) -> None:
    whole = received(node)[0].partition(b"\r\n\r\n")[2]
    node.control.call("mock.fault.add", {"fault": "truncated_body", "bytes": 10})
    data, end = received(node)
    head, _, body = data.partition(b"\r\n\r\n")
    assert (body, end) == (whole[:10], "closed")
    assert b"content-length: %d" % len(whole) in head


def test_a_slow_body_and_a_delay_hold_up_nobody_else(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "slow_body", "bytes_per_second": 20, "method": BALANCE})
    node.control.call("mock.fault.add", {"fault": "delay", "milliseconds": 30_000, "method": "balance"})
    slow = socket.create_connection(node.address, timeout=30)
    slow.sendall(post(call(BALANCE)))
    held = socket.create_connection(node.address, timeout=0.2)
    held.sendall(post(call("balance", {"address": "treasury"})))
    started = time.monotonic()
    for _ in range(20):
        node.rpc.call("consensus.difficulty")
    assert time.monotonic() - started < 5
    first = slow.recv(65536)
    assert 0 < len(first.partition(b"\r\n\r\n")[2]) < 100 or first.endswith(b"\r\n\r\n")
    with pytest.raises(TimeoutError):
        held.recv(1)
    slow.close()
    held.close()
    assert injected(node) == {"delay": 1, "slow_body": 1}


def test_a_delay_with_jitter_is_answered_in_its_time(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "delay", "milliseconds": 200, "jitter": 100})
    started = time.monotonic()
    assert received(node)[1] == "whole"
    assert time.monotonic() - started >= 0.19


def test_the_nth_call_the_pattern_and_the_count(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "close", "method": "gov.treasury.*", "nth": 3, "times": 2})
    ends = [received(node)[1] for _ in range(6)]
    assert ends == ["whole", "whole", "closed", "closed", "whole", "whole"]
    assert received(node, "consensus.difficulty")[1] == "whole"
    assert node.control.call("mock.fault.list")["faults"] == []


def test_chance_is_the_same_for_the_same_seed(node: NodeProcess) -> None:
    def hits(seed: int) -> list[int]:
        node.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
        node.control.call("mock.seed", {"seed": seed})
        node.control.call("mock.fault.add", {"fault": "close", "probability": 0.3, "times": 0})
        found = [n for n in range(60) if received(node)[1] == "closed"]
        assert injected(node) == {"close": len(found)}
        return found

    one, two = hits(1), hits(2)
    assert hits(1) == one != two
    assert 6 <= len(one) <= 30 and 6 <= len(two) <= 30


def test_chance_is_as_likely_as_asked() -> None:
    faults = Faults()
    faults.add("close", None, probability=0.25)
    hits = sum(faults.strike("close", seed=7, method="m") is not None for _ in range(4000))
    assert 900 <= hits <= 1100


def test_disk_full_fails_writes_until_cleared_and_reads_go_on(node: NodeProcess) -> None:
    fault = node.control.call("mock.fault.add", {"fault": "disk_full"})
    for _ in range(3):
        with pytest.raises(Refused, match="-32092 treasury storage error"):
            node.rpc.call(SUBMIT, payload(1))
        assert last_entry(node)["faults"] == ["disk_full"]
        assert node.rpc.call("gov.treasury.disbursements")["disbursements"] == []
    node.control.call("mock.fault.clear", {"id": fault["id"]})
    assert node.rpc.call(SUBMIT, payload(1))["id"] == 1
    assert injected(node)["disk_full"] >= 3


def test_a_skewed_clock_is_off_until_the_fault_is_cleared(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "clock_skew", "seconds": -400})
    assert node.rpc.call(SUBMIT, payload(1))["created_at"] == NEW_YEAR - 400
    node.control.call("mock.fault.clear")
    assert node.rpc.call(SUBMIT, payload(1))["created_at"] == NEW_YEAR
    assert injected(node) == {"clock_skew": 1}


def test_a_second_that_passes_meanwhile_is_no_skewed_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count(NEW_YEAR)
    with fresh_node(tmp_path, clock=None) as one:
        one.faults.add("delay", None)
        monkeypatch.setattr("handbook.node.node.time.time", lambda: next(seconds))
        assert one.now() < one.now()
        assert one.faults.claim() == ()


def test_a_skewed_clock_shows_in_every_call_that_stamps_or_judges_a_time(node: NodeProcess) -> None:
    """In what is stored, in the journal and in the metric; not in calls that look at no clock."""
    node.control.call("mock.executor", {"mode": "manual"})
    node.control.call("mock.fault.add", {"fault": "clock_skew", "seconds": 90})
    skewed = NEW_YEAR + 90
    id_ = node.rpc.call(SUBMIT, payload(1))["id"]
    node.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": 1})
    node.rpc.call("gov.treasury.rollback_disbursement", {"id": id_, "reason": "skew"})
    node.control.call("mock.fund", {"counter": 5})
    node.control.call("mock.tick")
    node.rpc.call("mempool.stats")
    with pytest.raises(Refused, match=r"-33\d\d\d"):
        reading = {"provider_id": "p", "meter_address": "m", "kwh_reading": 1, "timestamp": 1, "nonce": 1}
        node.rpc.call("energy.submit_reading", reading | {"signature": "00" * 64})
    node.rpc.call("consensus.difficulty")
    node.rpc.call("gov.treasury.disbursements")
    entries = node.control.call("mock.journal")["entries"]
    struck = [(entry["method"].rpartition(".")[2], entry["faults"]) for entry in entries]
    assert [name for name, faults in struck if faults == ["clock_skew"]] == [
        "submit_disbursement", "queue_disbursement", "rollback_disbursement", "fund", "tick", "stats", "submit_reading",
    ]  # fmt: skip
    assert {name for name, faults in struck if not faults} == {"executor", "add", "difficulty", "disbursements"}
    assert injected(node) == {"clock_skew": 7}
    balance = node.rpc.call("gov.treasury.balance")
    assert (balance["last_snapshot"]["recorded_at"], balance["executor"]["last_tick_at"]) == (skewed, skewed)
    status = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]["disbursement"]["status"]
    assert status["RolledBack"]["rolled_back_at"] == skewed
    assert node.control.call("mock.status")["clock"]["now"] == skewed


@pytest.mark.parametrize(
    ("fault", "stored"), [("crash_before_commit", 1), ("crash_after_commit", 2), ("torn_log_line", 1)]
)
def test_a_crash_at_a_commit_leaves_what_it_says(tmp_path: Path, fault: str, stored: int) -> None:
    with NodeProcess(tmp_path, treasury_balance=1_000_000, clock=NEW_YEAR) as own:
        own.rpc.call(SUBMIT, payload(1))
        own.control.call("mock.fault.add", {"fault": fault})
        assert received(own, SUBMIT, payload(2)) in ((b"", "closed"), (b"", "reset"))
        assert own.process.wait(timeout=10) == -9
    with NodeProcess(tmp_path) as own:
        assert len(own.rpc.call("gov.treasury.disbursements")["disbursements"]) == stored
        assert injected(own) == {fault: 1}
        entry = own.control.call("mock.journal")["entries"][0]
        assert (entry["faults"], entry["error"]["message"]) == ([fault], "killed by a fault")
        assert own.rpc.call(SUBMIT, payload(3))["id"] == stored + 1
        own.kill()
    with NodeProcess(tmp_path) as own:
        assert injected(own) == {}, "a crash is told once"


def test_every_kind_is_of_one_sort_and_has_its_test() -> None:
    assert len(KINDS) == len(CRASH_POINTS) + len(COMMIT_POINTS) + len(STORAGE) + len(WIRE) + 4 + len(SWITCHES) == 33
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_node_*.py"))
    assert [kind for kind in KINDS if tests.count(f'"{kind}"') == 0] == []


def test_what_stands_behind_a_closed_answer_is_not_done(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "delay", "milliseconds": 200, "method": BALANCE})
    node.control.call("mock.fault.add", {"fault": "reset", "method": BALANCE})
    with socket.create_connection(node.address, timeout=5) as client:
        client.sendall(post(call(BALANCE)) + post(call(SUBMIT, payload(1))) * 5)
        with pytest.raises(ConnectionResetError):
            client.recv(65536)
    assert node.rpc.call("gov.treasury.disbursements")["disbursements"] == []


def test_a_fault_of_a_timer_tick_has_its_own_entry(node: NodeProcess) -> None:
    node.control.call("mock.fund", {"account": "treasury", "amount": 50_000})
    node.control.call("mock.epoch", {"set": 4})
    id_ = node.rpc.call(SUBMIT, payload(1))["id"]
    for epoch in (1, 2, 3):
        node.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
    node.control.call("mock.fault.add", {"fault": "mempool_full", "times": 0})
    node.control.call("mock.executor", {"mode": "timer", "poll_interval": 1})
    deadline, found = time.monotonic() + 20, []
    while not found and time.monotonic() < deadline:
        time.sleep(0.05)
        entries = node.control.call("mock.journal")["entries"]
        found = [entry["listener"] for entry in entries if entry["faults"] == ["mempool_full"]]
    node.control.call("mock.executor", {"mode": "off"})
    assert set(found) == {"executor"}


def test_a_crash_point_writes_nothing_to_a_full_disk(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, {"TB_MIN_FEE_PER_BYTE_CONSUMER": "0"}, clock=NEW_YEAR, treasury_balance=100) as own:
        own.control.call("mock.fund", {"account": "treasury", "amount": 50_000})
        own.control.call("mock.epoch", {"set": 4})
        id_ = own.rpc.call(SUBMIT, payload(1))["id"]
        for epoch in (1, 2, 3):
            own.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
        own.control.call("mock.executor", {"mode": "manual"})
        before = own.control.call("mock.status")["events"]
        own.control.call("mock.fault.add", {"fault": "disk_full"})
        own.control.call("mock.fault.add", {"fault": "after_stage"})
        with pytest.raises(Exception, match="nobody answers"):
            own.control.call("mock.tick")
        assert own.process.wait(5) == -9
    with NodeProcess(tmp_path) as own:
        assert own.control.call("mock.status")["events"] == before
