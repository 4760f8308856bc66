"""What is acknowledged survives: kills, failing commits, restarts; and a file that cannot be trusted is not used."""

from __future__ import annotations

import json
import random
import resource
import shutil
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, NodeProcess, ask, call, fresh_node, payload, post

from handbook.control import Refused
from handbook.node import apply as apply_module
from handbook.node import events as ev
from handbook.node import log as log_module
from handbook.node.config import Config
from handbook.node.failure import CommitFailed, StartFailure
from handbook.node.log import EventLog, encode_state
from handbook.node.node import Node
from handbook.node.salvage import salvage

SUBMIT = "gov.treasury.submit_disbursement"


def test_an_empty_directory_gets_one_accrual_and_a_used_one_gets_none(tmp_path: Path) -> None:
    for _ in range(2):
        with fresh_node(tmp_path) as node:
            history = ask(node, "gov.treasury.balance_history")["result"]
            assert (1_000_000, [1]) == (history["current_balance"], [entry["id"] for entry in history["snapshots"]])


def test_a_restart_gives_the_same_state_from_events_alone_and_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CHECKPOINT_EVERY", 7)
    with fresh_node(tmp_path) as node:
        for n in range(20):
            ask(node, SUBMIT, payload(n + 1))
        before, seq = node.state, node.log.seq
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "node-data", copy / "node-data")  # as a kill would leave it
    for directory in (tmp_path, copy):
        with fresh_node(directory) as again:
            assert before == again.state
            assert seq == again.log.seq


def test_retention_keeps_the_highest_ids_and_ids_go_on(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        for _ in range(1030):
            ask(node, SUBMIT, payload())
        assert (1024, 1030, 7) == (len(node.state.records), node.state.last_id, min(node.state.records))
        for n in range(1500):
            node.record(ev.BalanceMoved("Accrual", 1, None, n))
        assert (2048, 2531) == (len(node.state.snapshots), max(node.state.snapshots))
        seen, cursor = [], None
        while True:
            page = ask(node, "gov.treasury.disbursements", {"limit": 999, "cursor": cursor})["result"]
            seen += [entry["disbursement"]["id"] for entry in page["disbursements"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert list(range(1030, 6, -1)) == seen
        seen, cursor = [], None
        while True:
            page = ask(node, "gov.treasury.balance_history", {"limit": 200, "cursor": cursor})["result"]
            seen += [entry["id"] for entry in page["snapshots"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert list(range(2531, 2531 - 2048, -1)) == seen


def test_calls_of_one_turn_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with NodeProcess(tmp_path) as own:
        submits = post(call(SUBMIT, payload())) * 100
        received = own.raw(submits)
        assert 100 == received.count(b'"id":1,"jsonrpc"')
        events = own.control.call("mock.status")["events"]
        assert 200 == events


def test_a_failing_commit_refuses_its_writes_and_leaves_nothing(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, treasury_balance=1_000_000, clock=NEW_YEAR) as own:
        own.control.call("mock.fault.add", {"fault": "storage_error"})
        received = own.raw(post(call(SUBMIT, payload(), 1)) + post(call("gov.treasury.disbursements", {}, 2)))
        first, second = (json.loads(part.partition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 ")[1:])
        assert {"code": -32092, "message": "treasury storage error"} == first["error"]
        assert {"disbursements": [], "next_cursor": None} == second["result"]
        entries = own.control.call("mock.journal")["entries"]
        assert [("mock.fault.add", False), (SUBMIT, False), ("gov.treasury.disbursements", False)] == [
            (entry["method"], entry["changed"]) for entry in entries
        ]
        assert "fault: storage_error" == entries[1]["error"]["reason"]
        assert 0 == own.control.call("mock.status")["writes"]
        assert {"created_at": NEW_YEAR, "id": 1} == own.rpc.call(SUBMIT, payload())


def test_a_commit_that_sqlite_refuses_is_reported_and_rebuilt(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        node.log.db.execute("PRAGMA query_only = ON")
        with pytest.raises(CommitFailed):
            ask(node, SUBMIT, payload())
        node.rebuild()
        assert {} == node.state.records
        node.log.db.execute("PRAGMA query_only = OFF")
        assert 1 == ask(node, SUBMIT, payload())["result"]["id"]


def test_on_a_full_disk_calls_are_refused_and_service_comes_back_with_the_space(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        last = own.rpc.call(SUBMIT, payload())["id"]
        free = resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
        with pytest.raises(Refused, match="-32092 treasury storage error"):
            for _ in range(100):
                last = own.rpc.call(SUBMIT, payload())["id"]
        listed = own.rpc.call("gov.treasury.disbursements", {"limit": 1})["disbursements"]
        assert last == listed[0]["disbursement"]["id"], "what was refused is not there"
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, free)
        assert last + 1 == own.rpc.call(SUBMIT, payload())["id"]


def test_the_log_keeps_what_two_checkpoints_need_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pruning the file grows for ever; without the older checkpoint one bad byte costs everything."""
    monkeypatch.setattr(log_module, "CHECKPOINT_EVERY", 100)
    with fresh_node(tmp_path) as node:
        for _ in range(330):
            ask(node, SUBMIT, payload())
        state, seq = encode_state(node.state), node.log.seq
        first, count = node.log.db.execute("SELECT min(seq), count(*) FROM event").fetchone()
        older, newer = (row[0] for row in node.log.db.execute("SELECT seq FROM checkpoint ORDER BY seq"))
        assert first == older + 1 and 100 <= newer - older <= 102 and count == seq - older < 210
        copy = tmp_path / "copy" / "node-data"
        shutil.copytree(tmp_path / "node-data", copy)
    db = sqlite3.connect(copy / "node.sqlite")
    db.execute("UPDATE checkpoint SET state = x'00' WHERE seq = ?", (newer,))
    db.commit()
    db.close()
    with pytest.raises(StartFailure, match="fails its checksum"):
        EventLog(copy / "node.sqlite")
    salvage(copy, tmp_path / "new")
    assert encode_state(EventLog(tmp_path / "new" / "node.sqlite").state) == state


def test_a_node_that_keeps_all_drops_neither_records_nor_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CHECKPOINT_EVERY", 100)
    monkeypatch.setattr(apply_module, "MAX_RECORDS", 20)
    monkeypatch.setattr(apply_module, "MAX_SNAPSHOTS", 30)
    with fresh_node(tmp_path, keep_all=True) as node:
        for _ in range(60):
            ask(node, SUBMIT, payload())
        assert (60, 61) == (len(node.state.records), len(node.state.snapshots))
        assert 1 == ask(node, "gov.treasury.disbursement", {"id": 1})["result"]["disbursement"]["disbursement"]["id"]
    with fresh_node(tmp_path, keep_all=True) as node:
        assert (60, 61) == (len(node.state.records), len(node.state.snapshots))
        assert 1 == node.log.db.execute("SELECT min(seq) FROM event").fetchone()[0]
    with fresh_node(tmp_path) as node:  # the limits hold again
        assert (20, 30) == (len(node.state.records), len(node.state.snapshots))
        assert {"Draft": 20} == node.state.statuses
        assert [41, 60] == [min(node.state.records), max(node.state.records)]


@pytest.mark.parametrize("keep_all", [False, True])
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.long)])
def test_no_acknowledged_write_is_lost_or_doubled_when_the_node_is_killed(
    tmp_path: Path, kills: int, keep_all: bool
) -> None:
    acknowledged: dict[int, int] = {}
    checked = 0
    for round_ in range(kills + 1):
        with NodeProcess(tmp_path, clock=NEW_YEAR, keep_all=keep_all) as own:
            all_of_them = keep_all and (round_ % max(1, kills // 10) == 0 or round_ == kills)
            checked += _audit(own, acknowledged, 8, 10**9 if all_of_them else 1024)
            if round_ == kills:
                break
            if keep_all and not round_:  # enough that what comes reaches pages
                for _ in range(12):
                    assert own.raw(post(call(SUBMIT, payload(100))) * 100).count(b'"result"') == 100
                acknowledged |= dict.fromkeys(range(1, 1201), 100)
            clients = [
                threading.Thread(target=_submit_until_dead, args=(own, acknowledged, round_, n)) for n in range(8)
            ]
            for client in clients:
                client.start()
            time.sleep(0.1 + random.Random(round_).random() / 10)
            own.kill()
            for client in clients:
                client.join()
    assert checked >= 20 * kills
    if keep_all:
        db = sqlite3.connect(tmp_path / "node-data" / "node.sqlite")
        assert db.execute("SELECT count(*) FROM page").fetchone()[0] > 0, "too few were stored to reach a page"
        db.close()


def _audit(own: NodeProcess, acknowledged: dict[int, int], clients: int, kept_ids: int) -> int:
    """Every acknowledged write is there, unless so many later ones pushed it out.

    At most one more a client, never acknowledged.
    """
    if not acknowledged:
        return 0
    stored = {}
    cursor = None
    while True:
        page = own.rpc.call("gov.treasury.disbursements", {"limit": 200, "cursor": cursor})
        stored |= {e["disbursement"]["id"]: e["disbursement"]["amount"] for e in page["disbursements"]}
        if (cursor := page["next_cursor"]) is None or cursor <= max(stored) - kept_ids:
            break
    assert max(acknowledged) <= max(stored) <= max(acknowledged) + clients
    kept = {id_: amount for id_, amount in acknowledged.items() if id_ > max(stored) - kept_ids}
    assert kept == {id_: stored.get(id_) for id_ in kept}
    return len(kept)


def _submit_until_dead(own: NodeProcess, acknowledged: dict[int, int], round_: int, client: int) -> None:
    amount = 1 + (round_ * 8 + client) * 1_000_000
    try:
        with socket.create_connection(own.address, timeout=5) as connection:
            while True:
                connection.sendall(post(call(SUBMIT, payload(amount))))
                received = connection.recv(65536)
                if not received:
                    return
                id_ = json.loads(received.partition(b"\r\n\r\n")[2])["result"]["id"]
                assert id_ not in acknowledged, "an id was handed out twice"
                acknowledged[id_] = amount
                amount += 1
    except OSError:
        return


def damaged(directory: Path, how: Any) -> str:
    path = directory / "node-data" / "node.sqlite"
    with fresh_node(directory) as node:
        for _ in range(200):
            ask(node, SUBMIT, payload())
    how(path)
    before = path.read_bytes()
    with pytest.raises(StartFailure) as failure:
        Node(Config(data_dir=path.parent))
    assert before == path.read_bytes(), "the file was changed"
    assert 1 == len(str(failure.value).splitlines())
    return str(failure.value)


def overwritten(offset: int, data: bytes) -> Any:
    def write(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return write


def one_event_changed(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DELETE FROM checkpoint")
    db.execute("UPDATE event SET body = replace(body, '100', '900') WHERE seq = 7")
    db.commit()
    db.close()


def pragma(text: str) -> Any:
    def write(path: Path) -> None:
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA {text}")
        db.close()

    return write


def one_event_gone(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DELETE FROM checkpoint")
    db.execute("DELETE FROM event WHERE seq = 9")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (overwritten(0, b"not a database at all"), "file is not a database"),
        (overwritten(4096 * 3, b"\xff" * 4096), ""),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), ""),
        (one_event_changed, "event 7 fails its checksum"),
        (one_event_gone, "event 9 is missing"),
        (pragma("user_version = 9"), "written in format 9"),
        (pragma("application_id = 9"), "not a mock node's file"),
    ],
)
def test_a_damaged_file_is_named_with_what_was_expected_and_left_alone(tmp_path: Path, how: Any, why: str) -> None:
    message = damaged(tmp_path, how)
    assert why in message and "node.sqlite cannot be used: " in message
    assert (
        "expected a mock node's event log, format 1" in message
        and "(hint: restore " in message
        and "handbook salvage " in message
    )


def test_a_damaged_file_stops_the_process_with_status_1(tmp_path: Path) -> None:
    (tmp_path / "node-data").mkdir()
    (tmp_path / "node-data" / "node.sqlite").write_bytes(b"x" * 5000)
    own = NodeProcess(tmp_path, wait=False)
    error = own.process.communicate(timeout=5)[1]
    assert 1 == own.process.returncode and "cannot be used" in error and 1 == error.count("\n")


def test_the_clock_stays_frozen_through_a_kill(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, clock=NEW_YEAR) as own:
        own.control.call("mock.clock", {"advance": 60})
        own.kill()
    with NodeProcess(tmp_path) as own:
        assert {"frozen": True, "now": NEW_YEAR + 60} == own.control.call("mock.status")["clock"]
