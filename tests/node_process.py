"""Mock nodes for tests: in this process (`fresh_node`) and in one of their own (`NodeProcess`)."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from handbook.control import Control
from handbook.node import log, shelf
from handbook.node.config import Config, EnergyRates, Limits
from handbook.node.desk import LOCAL, Desk
from handbook.node.gate import Caller
from handbook.node.methods import run
from handbook.node.node import Node
from handbook.node.shelf import Shelf
from handbook.node.state import encode_state

NEW_YEAR = 1_767_225_600
NO_LIMIT = Limits(tokens_per_second=1e9)
NO_ENERGY_LIMIT = EnergyRates(1e9, 1e9, 1e9, 1e9)
RECORDINGS = Path(__file__).parent / "recordings"
LIFECYCLE = ({"current_epoch": 1}, {"current_epoch": 2}, {"current_epoch": 3})


@contextmanager
def fresh_node(directory: Path, **flags: Any) -> Iterator[Node]:
    """A node in this process, without sockets. Commit by hand."""
    flags = {"limits": NO_LIMIT, "energy_rates": NO_ENERGY_LIMIT} | flags
    flags = {"treasury_balance": 1_000_000, "clock": NEW_YEAR, "min_fee_per_byte": 0} | flags
    node = Node(Config(data_dir=directory / "node-data", **flags))
    try:
        yield node
    finally:
        node.close()


def ask(node: Node, method: str, params: Any = None, caller: Caller = LOCAL) -> dict[str, Any]:
    """One call through the RPC desk, and its commit; the whole envelope."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method} | ({} if params is None else {"params": params})
    answer = Desk(node, "rpc", run).call(json.dumps(body).encode(), close=False, caller=caller)
    node.commit()
    assert answer.data is not None, "the connection would be dropped"
    return json.loads(answer.data.partition(b"\r\n\r\n")[2])


def everything(node: Node) -> bytes:
    """The state, encoded alike wherever its parts are kept."""
    state = node.state
    shelves = {name: Shelf(dict(getattr(state, name).items())) for name in ("records", "snapshots")}
    return encode_state(msgspec.structs.replace(state, **shelves))


@pytest.fixture
def small_shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few objects reach pages, and a few events a checkpoint."""
    monkeypatch.setattr(shelf, "BLOCK", 2)
    monkeypatch.setattr(shelf, "KEPT", 1)
    monkeypatch.setattr(log, "CHECKPOINT_EVERY", 25)
    monkeypatch.setattr(log, "SWEEP_EVERY", 5)


def payload(amount: int = 100, epoch: int = 1, memo: str = "", **proposal: Any) -> dict[str, Any]:
    details = {"destination": "tb1qx", "amount": amount, "memo": memo, "scheduled_epoch": epoch}
    windows = {"vote_window_epochs": 1, "timelock_epochs": 1, "rollback_window_epochs": 1}
    return {"payload": {"disbursement": details, "proposal": {"title": "t", "summary": "s"} | windows | proposal}}


def timelocked(node: Node, amount: int = 100, **more: Any) -> int:
    """A disbursement that the executor would pay in epoch 1."""
    id_ = ask(node, "gov.treasury.submit_disbursement", payload(amount, **more))["result"]["id"]
    for step in LIFECYCLE:
        ask(node, "gov.treasury.queue_disbursement", {"id": id_} | step)
    return id_


class NodeProcess:
    """`handbook.node.server.main` in a process of its own, on free ports.

    Environment: the limiter is out of the way.
    """

    def __init__(self, directory: Path, env: dict[str, str] | None = None, wait: bool = True, **flags: Any) -> None:
        flags = {
            "rpc_addr": "127.0.0.1:0",
            "control_addr": "127.0.0.1:0",
            "metrics_addr": "127.0.0.1:0",
            "data_dir": str(directory / "node-data"),
        } | flags
        program = (
            "import sys, json; from pathlib import Path; from handbook.node.config import Config; "
            "from handbook.node.server import main; f = json.loads(sys.argv[1]); "
            "f['data_dir'] = Path(f['data_dir']); main(Config(**f))"
        )
        environment = {**os.environ, "TB_RPC_TOKENS_PER_SEC": "1000000000"} | (env or {})
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.lines: list[str] = []
        if not wait:
            return
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("RPC listening on"):
                break
        self.seconds_to_ready = time.perf_counter() - started
        assert self.lines, self.process.stderr and self.process.stderr.read()
        at = dict(re.findall(r"(\w+) listening on (\S+)", "\n".join(self.lines)))
        host, port = at["RPC"].rsplit(":", 1)
        self.address = (host, int(port))
        self.rpc = Control(f"http://{at['RPC']}")
        self.control = Control(f"http://{at['control']}")
        self.metrics = f"http://{at['metrics']}/metrics"

    def raw(self, data: bytes, timeout: float = 2.0) -> bytes:
        """Everything the node sends back until it closes or is silent for `timeout` seconds."""
        with socket.create_connection(self.address, timeout=timeout) as connection:
            connection.sendall(data)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
                    if _complete(received, data.count(b"HTTP/1.1\r\n")):
                        break
            except (TimeoutError, ConnectionResetError):
                pass
            return received

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        self.process.terminate()
        return self._reap()

    def _reap(self) -> int:
        for client in (self.rpc, self.control):
            client.close()
        code = self.process.wait(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        else:
            self._reap()


def post(body: bytes, path: str = "/", host: str = "localhost", extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def call(method: str, params: Any = None, id_: Any = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode()


def _complete(received: bytes, answers: int) -> bool:
    found = 0
    while b"\r\n\r\n" in received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        if len(received) < length:
            return False
        received, found = received[length:], found + 1
    return found >= answers
