"""Mixed load with faults on: memory stays flat, no handle leaks, and every fault is accounted for, three times over."""

from __future__ import annotations

import random
import re
import socket
import statistics
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from node_process import NodeProcess, call, payload, post

from handbook.control import Control

SUBMIT = "gov.treasury.submit_disbursement"
FAULTS: dict[str, dict[str, Any]] = {
    "gov.treasury.balance": {"fault": "error", "code": -32050, "message": "soak"},
    "mempool.stats": {"fault": "http_status", "status": 503},
    "consensus.difficulty": {"fault": "close"},
    "inflation.params": {"fault": "reset"},
    "gov.treasury.balance_history": {"fault": "truncated_body"},
    "governor.status": {"fault": "slow_body", "bytes_per_second": 5000},
    "settlement_status": {"fault": "delay", "milliseconds": 2, "jitter": 5},
    SUBMIT: {"fault": "drop_answer"},
}
"""One fault for each method, so that a client knows which one hit it."""
UNFELT = {"slow_body", "delay"}
"""A client of a busy machine cannot tell them from the machine."""
OTHERS = [
    call("gov.treasury.disbursements", {"limit": 20}),
    call("energy.market_state", {}),
    call("nonsense"),
    b"{",
    b'{"method":"x","params":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b"\xff\xfe",
]
CLIENTS = 3


class Client(threading.Thread):
    """Asks one call after another. `seen` counts, by fault, the answers that were not what the node would say."""

    def __init__(self, node: NodeProcess, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.node, self.chance, self.stop = node, random.Random(seed), stop
        self.seen: Counter[str] = Counter()
        self.calls = self.stored = 0
        self.connection: socket.socket | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._step()
        except BaseException as error:
            self.failure = error
        finally:
            self._close()

    def _step(self) -> None:
        if self.chance.random() < 0.02:
            self._close()
        if self.chance.random() < 0.2:
            assert b"HTTP/1.1 200" in self._ask(post(self.chance.choice(OTHERS)))
            return
        method = self.chance.choice(list(FAULTS))
        answer = self._ask(post(call(method, payload() if method == SUBMIT else None)))
        fault = FAULTS[method]["fault"]
        self.calls += 1
        if fault == "error":
            hit = b'"code":-32050' in answer
        elif fault == "http_status":
            hit = b"HTTP/1.1 503" in answer
        else:
            hit = not whole(answer)
        self.seen[fault] += hit
        assert hit or b'"result"' in answer, f"{method}: {answer[:300]!r}"
        self.stored += method == SUBMIT
        if not whole(answer):
            self._close()

    def _ask(self, data: bytes) -> bytes:
        if self.connection is None:
            self.connection = socket.create_connection(self.node.address, timeout=20)
        received = b""
        try:
            self.connection.sendall(data)
            while not whole(received):
                part = self.connection.recv(65_536)
                if not part:
                    break
                received += part
        except ConnectionError:
            pass
        return received

    def _close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None


def whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found and length and len(body) >= int(length[1]))


class Ledger:
    """The faults that the journal names, read on before its ring comes round."""

    def __init__(self, control: Control) -> None:
        self.control, self.next, self.faults = control, 1, Counter[str]()

    def read(self) -> None:
        page = self.control.call("mock.journal", {"since": self.next})
        assert page["dropped"] < self.next, "the journal was not read often enough"
        self.next = page["next"]
        for entry in page["entries"]:
            self.faults.update(entry["faults"])


@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=pytest.mark.long)])
def test_mixed_load_with_faults_leaves_nothing_behind(tmp_path: Path, seconds: int) -> None:
    with NodeProcess(tmp_path, treasury_balance=1000) as node:
        process = psutil.Process(node.process.pid)
        for method, fault in FAULTS.items():
            rule = {"method": method, "probability": 0.01, "times": 0}
            node.control.call("mock.fault.add", fault | rule)
        node.rpc.call("gov.treasury.balance")
        handles, stop, ledger = process.num_fds(), threading.Event(), Ledger(node.control)
        clients = [Client(node, seed, stop) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        sizes: list[int] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.25)
            ledger.read()
            sizes.append(process.memory_info().rss)
            if len(sizes) % 4 == 0:
                node.control.call("mock.mine")
                assert httpx.get(node.metrics).status_code == 200
        stop.set()
        for client in clients:
            client.join(30)
        assert [client.failure for client in clients] == [None] * CLIENTS
        node.control.call("mock.fault.clear")
        ledger.read()
        metric = counted(httpx.get(node.metrics).text)
        seen: Counter[str] = sum((client.seen for client in clients), Counter())
        calls, stored = sum(client.calls for client in clients), sum(client.stored for client in clients)
        third = len(sizes) // 3
        growth = statistics.median(sizes[-third:]) - statistics.median(sizes[third : 2 * third])
        size = f"{sizes[-1] >> 20} MiB, {growth / 2**20:+.1f}"
        print(f"{calls} calls, {stored} stored, {sum(metric.values())} faults, {size}")
        assert metric == ledger.faults
        assert set(metric) == {fault["fault"] for fault in FAULTS.values()}, "some fault never struck"
        assert {name: count for name, count in metric.items() if name not in UNFELT} == dict(seen)
        assert last_id(node) == stored
        assert growth < (12 if seconds < 60 else 8) * 2**20
        until = time.monotonic() + 20
        while process.num_fds() > handles and time.monotonic() < until:
            time.sleep(0.1)
        assert process.num_fds() <= handles


def last_id(node: NodeProcess) -> int:
    newest = node.rpc.call("gov.treasury.disbursements", {"limit": 1})["disbursements"][0]
    return int(newest["disbursement"]["id"])


def counted(text: str) -> Counter[str]:
    rows = re.findall(r'^mock_faults_injected_total\{fault="(\w+)"\} (\d+)', text, re.MULTILINE)
    return Counter({name: int(count) for name, count in rows if int(count)})
