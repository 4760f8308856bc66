"""The mock node against a plain uvicorn echo, side by side: `python benchmarks/node_throughput.py [SECONDS]`.

Both servers run at once, each in its own process; every load is offered to one and then to the other, so that a busy
machine is busy for both. The echo decodes a call and answers it, and does nothing else: it is the limit of what a
Python server on uvicorn (httptools, uvloop) can do. A submit is durable when it is answered; the echo stores nothing.
One more process makes the load, on this machine: what it costs is in every figure. A client asks again as soon as it
is answered, so the mean time is the number of connections by the rate: 256 at 12 000/s wait 21 ms, however they are
served.

The node's own figures (build 0ecc756a with its treasury methods let through, 4 shared cores): 730 reads/s at p99
116 ms and 14.5 submits/s at p99 1.45 s, at 8 connections.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, cast

import psutil
import uvloop

from handbook.ports import free_port
from handbook.target import MockProcess

CONNECTIONS = (1, 8, 64, 256)
READ = {"method": "gov.treasury.balance", "params": {}}
SUBMIT = {
    "method": "gov.treasury.submit_disbursement",
    "params": {
        "payload": {
            "proposal": {"title": "Load", "summary": "Load"},
            "disbursement": {"destination": "tb1qload", "amount": 1000, "memo": "", "scheduled_epoch": 10},
        }
    },
}
LOADS = {"read": (READ,), "durable submit": (SUBMIT,), "mixed 9:1": (READ,) * 9 + (SUBMIT,)}
ECHO = """
import msgspec
decode, encode = msgspec.json.decode, msgspec.json.encode
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    call = decode(body)
    answer = encode({"id": call["id"], "jsonrpc": "2.0", "result": call["params"]})
    length = (b"content-length", str(len(answer)).encode())
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), length]}
    await send(head)
    await send({"type": "http.response.body", "body": answer})
"""


class Measured(NamedTuple):
    """`rate` in answers per second, times in milliseconds, `errors` in answers that were none."""

    rate: float
    p50: float
    p99: float
    errors: int


def requests(calls: tuple[dict[str, object], ...]) -> list[bytes]:
    bodies = [json.dumps({"jsonrpc": "2.0", "id": 1, **call}).encode() for call in calls]
    head = b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    return [head % (len(body), body) for body in bodies]


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, calls: list[bytes], offset: int, until: float, times: list[float], errors: list[bytes]) -> None:
        self._calls, self._next, self._until = calls, offset, until
        self._times, self._errors, self._data = times, errors, b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._calls[self._next % len(self._calls)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        now = time.perf_counter()
        self._times.append(now - self._sent)
        if b'"result"' not in body:
            self._errors.append(body)
        self._data = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._errors.append(str(error).encode())
        if not self.done.done():
            self.done.set_result(None)


async def offer(port: int, calls: list[bytes], connections: int, seconds: float) -> Measured:
    loop, times, errors = asyncio.get_running_loop(), list[float](), list[bytes]()
    started = time.perf_counter()
    clients = []
    for offset in range(connections):
        _, client = await loop.create_connection(
            lambda offset=offset: Client(calls, offset, started + seconds, times, errors), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - started
    times.sort()
    at = {share: times[int((len(times) - 1) * share)] * 1000 for share in (0.5, 0.99)} if times else {0.5: 0, 0.99: 0}
    return Measured(len(times) / took, at[0.5], at[0.99], len(errors))


def load(port: int, calls: list[bytes], connections: int, seconds: float) -> Measured:
    return uvloop.run(offer(port, calls, connections, seconds))


def megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


@contextmanager
def echo() -> Iterator[tuple[Path, int]]:
    """The echo's port, and a directory that lives as long as it does."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "echo.py").write_text(ECHO)
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "echo:app", "--port", str(port), "--log-level", "error"]
        options = ["--no-access-log", "--loop", "uvloop", "--http", "httptools"]
        process = subprocess.Popen([*command, *options], cwd=directory)
        try:
            time.sleep(1)
            yield Path(directory), port
        finally:
            process.terminate()
            process.wait()


def verdict(failed: int) -> int:
    """Exit status; `failed` answers were no results."""
    if failed:
        print(f"{failed} answers were errors: the figures do not count")
    return 1 if failed else 0


def main(seconds: float) -> int:
    failed = 0
    with echo() as (directory, echo_port):
        node = MockProcess(directory)
        try:
            node_port = int(node.addresses.node.rpartition(":")[2])
            with get_context("spawn").Pool(1) as pool:
                print(
                    f"{'load':<15}{'conns':>6}{'node/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'MB':>6}{'echo/s':>9}  node/echo"
                )
                for name, calls in LOADS.items():
                    for connections in CONNECTIONS:
                        ours, theirs = (
                            pool.apply(load, (port, requests(calls), connections, seconds))
                            for port in (node_port, echo_port)
                        )
                        failed += ours.errors + theirs.errors
                        size = megabytes(psutil.Process(node.process.pid))
                        print(
                            f"{name:<15}{connections:>6}{ours.rate:>9.0f}{ours.p50:>8.2f}{ours.p99:>8.2f}{size:>6.0f}"
                            f"{theirs.rate:>9.0f}{ours.rate / theirs.rate:>10.2f}",
                            flush=True,
                        )
        finally:
            node.stop()
    return verdict(failed)


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3))
