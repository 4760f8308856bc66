"""What an operator can do to a running node by mistake: to its directory, its process, its control listener."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from node_process import (  # noqa: F401  # small_shelves is a fixture
    NodeProcess,
    ask,
    everything,
    fresh_node,
    payload,
    post,
    small_shelves,
)
from test_node_properties import JUNK

from handbook.control import Refused, Unreachable
from handbook.node import control, dying
from handbook.node import events as ev
from handbook.node.batch import Batch
from handbook.node.desk import Desk
from handbook.node.failure import CommitFailed
from handbook.node.faults import COMMIT_POINTS, CRASH_POINTS, KINDS
from handbook.node.members import MEMBERS
from handbook.node.node import Node

SUBMIT = "gov.treasury.submit_disbursement"


def deleted(data: Path) -> None:
    shutil.rmtree(data)


def replaced(data: Path) -> None:
    """A backup is put back under the node."""
    shutil.copytree(data, data.with_name("backup"))
    shutil.rmtree(data)
    shutil.copytree(data.with_name("backup"), data)


def cut(data: Path) -> None:
    os.truncate(data / "node.sqlite-wal", 0)


def overwritten(data: Path) -> None:
    for name in ("node.sqlite", "node.sqlite-wal", "node.sqlite-shm"):
        with (data / name).open("r+b") as file:
            file.write(random.Random(5).randbytes((data / name).stat().st_size))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (deleted, "No such file or directory"),
        (replaced, "another file is in its place"),
        (cut, "cannot be used: "),
        (overwritten, "cannot be used: file is not a database"),
    ],
)
@pytest.mark.parametrize("call", ["submit", "snapshot", "reset", "revert"])
def test_a_node_whose_log_is_gone_ends_and_acknowledges_nothing(
    tmp_path: Path, harm: Callable[[Path], None], why: str, call: str
) -> None:
    """Every write would be lost; reads went on from memory until then."""
    with NodeProcess(tmp_path) as own:
        own.rpc.call(SUBMIT, payload())
        id_ = own.control.call("mock.snapshot")["id"]
        harm(tmp_path / "node-data")
        assert own.rpc.call("gov.treasury.disbursement", {"id": 1})
        noticed = harm is overwritten and call in ("snapshot", "revert")
        if noticed:  # by SQLite, before anything changed
            with pytest.raises(Refused, match="-32092"):
                own.control.call(f"mock.{call}", {"id": id_} if call == "revert" else {})
        with pytest.raises(Unreachable):
            if call == "submit" or noticed:
                own.rpc.call(SUBMIT, payload())
            else:
                own.control.call(f"mock.{call}", {"id": id_} if call == "revert" else {})
        assert own.process.wait(20) == 1
        assert own.process.stderr
        said = own.process.stderr.read()
        assert why in said and "node.sqlite" in said and "(hint: " in said and said.count("\n") == 1, said


def test_a_log_that_is_tidied_up_under_the_node_is_still_the_log(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        for _ in range(50):
            own.rpc.call(SUBMIT, payload(memo="x" * 2000))
        other = sqlite3.connect(tmp_path / "node-data" / "node.sqlite")
        for order in (
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "DELETE FROM page",
            "VACUUM",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ):
            other.execute(order)
            other.commit()
            assert own.rpc.call(SUBMIT, payload())["id"]
        other.close()
        own.kill()
    with NodeProcess(tmp_path) as own:
        assert len(own.rpc.call("gov.treasury.disbursements", {"limit": 200})["disbursements"]) == 54


def test_a_defect_at_a_commit_ends_the_node_rather_than_leave_its_clients_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Exception] = []

    def give_up(why: Exception) -> None:
        ended.append(why)
        raise SystemExit(1)

    monkeypatch.setattr(dying, "give_up", give_up)
    with fresh_node(tmp_path) as node:
        with closing(asyncio.new_event_loop()) as loop:
            batch = Batch(node, loop)
            node.record(ev.Mined(1))
            monkeypatch.setattr(node.peers, "committed", lambda: 1 // 0)
            with pytest.raises(SystemExit):
                batch.flush()
    assert str(ended[0]).startswith("ZeroDivisionError at a commit")


def test_a_stopped_process_goes_on_where_it_was(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        own.control.call("mock.mining", {"interval": 1})
        own.control.call("mock.executor", {"mode": "timer", "poll_interval": 1})
        own.process.send_signal(signal.SIGSTOP)
        with socket.create_connection(own.address, timeout=30) as client:
            client.sendall(post(json.dumps({"id": 1, "method": SUBMIT, "params": payload()}).encode()))
            time.sleep(2.5)
            own.process.send_signal(signal.SIGCONT)
            assert b'"id":1' in client.recv(65_536)
        height = own.control.call("mock.status")["height"]
        deadline = time.monotonic() + 20
        while own.control.call("mock.status")["height"] == height and time.monotonic() < deadline:
            time.sleep(0.05)
        assert own.control.call("mock.status")["height"] > height
        assert own.control.call("mock.status")["executor"]["alive"]


GOOD: dict[str, list[Any]] = {
    "mode": ["off", "manual", "timer", "auto", "batch", "real_time"],
    "fault": [kind for kind in KINDS if kind not in {*CRASH_POINTS, *COMMIT_POINTS, "nesting_fatal"}],
    "path": ["a", "b", "c", "default.toml", "node.sqlite", "x/y", "a/b", "..", "/", "/dev/zero", "y" * 250],
    "peers": [[], ["http://127.0.0.1:9"], ["127.0.0.1:9", "127.0.0.1:10"]],
    "method": ["gov.*", "*", "energy.settle"], "root": [["00", 0, {}], ["ab", 5, {"a": [1, 2]}]],
    "links": [[], [["aa", "b", 1, [], None]]], "mempool": [[], [["admitted", "a", "t", 1, "b", 1, 1, 1]]],
    "sender": ["127.0.0.1:9"], "account": ["treasury", "a"], "listener": ["rpc"], "provider_id": ["p"],
    "public_key_hex": ["00" * 32], "message": ["m"], "id": [1, 2, 3, 4, 5, "x"],
    **{name: [True, False] for name in ("freeze", "failed", "rehearsal", "meet")},
}  # fmt: skip


@pytest.mark.usefixtures("small_shelves")
@pytest.mark.parametrize("keep_all", [False, True])
@pytest.mark.parametrize("calls", [400, pytest.param(20_000, marks=pytest.mark.long)])
def test_any_control_params_get_a_result_or_an_error(tmp_path: Path, calls: int, keep_all: bool) -> None:
    """Whatever is steered, in whatever order; never -32603, and what was stored is replayed alike."""
    asyncio.run(_steer(tmp_path, calls, keep_all))


async def _steer(directory: Path, calls: int, keep_all: bool) -> None:
    chance, codes = random.Random(41), dict[int | None, int]()
    with fresh_node(directory, keep_all=keep_all) as node:
        desk = Desk(node, "control", control.run)
        for number in range(calls):
            method = chance.choice(list(control.METHODS))
            params: Any = {
                name: chance.choice(GOOD.get(name, [0, 1, 2, 5, 60, 120, 1000]) if chance.random() < 0.85 else JUNK)
                for name, member in MEMBERS.get(method, {}).items()
                if member.required or chance.random() < 0.5
            }
            params = params if chance.random() < 0.95 else chance.choice(JUNK)
            entry = desk.call(json.dumps({"method": method, "params": params}).encode(), close=False).entry
            code = entry.code if entry else None
            assert code in (None, -32602, -32700, -32092), (method, params, entry)
            codes[code] = codes.get(code, 0) + 1
            _committed(node)
            if number % 7 == 0 and not node.faults.standing:
                ask(node, SUBMIT, payload())
            if number % 50 == 0:
                before = everything(node)
                node.state = node.log.reload()
                assert everything(node) == before
    assert codes[None] > calls // 5 and codes[-32602] > calls // 5, codes


def _committed(node: Node) -> None:
    try:
        node.commit()
    except CommitFailed:
        node.rebuild()


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_on_the_control_listener(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with NodeProcess(tmp_path) as own:
        host, port = own.control.url.removeprefix("http://").split(":")
        for _ in range(60):
            data = chance.choice([chance.randbytes(300), b"[" * 100_000, b"{}", b'{"method":"mock.reset","params":7}'])
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(data if chance.random() < 0.3 else post(data))
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):  # it need not read what it refuses
                    while client.recv(65_536):
                        pass
        assert own.control.call("mock.status")["writes"] == 0
