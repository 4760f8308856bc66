"""What a hostile client sends costs the node neither its life, nor its memory, nor anybody else's answer."""

from __future__ import annotations

import random
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psutil
import pytest
from node_process import NodeProcess, call, payload, post

READ = post(call("gov.treasury.balance"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("hostile")) as started:
        yield started


@pytest.fixture
def node(shared: NodeProcess) -> Iterator[NodeProcess]:
    """Alive, quick, no larger by 64 MiB and without a socket more, whatever the test did."""
    process = psutil.Process(shared.process.pid)
    shared.rpc.call("consensus.difficulty")
    shared.control.call("mock.status")
    before, handles = process.memory_info().rss, process.num_fds()
    yield shared
    started = time.monotonic()
    assert shared.rpc.call("consensus.difficulty") == {"difficulty": 1}
    assert time.monotonic() - started < 5
    assert process.memory_info().rss - before < 64 * 2**20
    deadline = time.monotonic() + 20
    while process.num_fds() > handles and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.num_fds() <= handles


def connect(node: NodeProcess, timeout: float = 5) -> socket.socket:
    return socket.create_connection(node.address, timeout=timeout)


def flood(node: NodeProcess, data: bytes, megabytes: int) -> int:
    """Sends until that much has gone, or the node stops taking it for a second; the bytes that went."""
    sent = 0
    with connect(node, timeout=1) as client:
        with suppress(OSError):
            while sent < megabytes * 2**20:
                sent += client.send(data)
        node.rpc.call("gov.treasury.balance")
    return sent


def test_a_client_that_asks_and_never_reads_is_held_back(node: NodeProcess) -> None:
    """Its answers would be 100 MB and more."""
    assert flood(node, READ * 400, megabytes=60) < 60 * 2**20


def test_an_endless_head_is_cut_off(node: NodeProcess) -> None:
    assert flood(node, b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + b"x: y\r\n" * 10_000, megabytes=30) < 30 * 2**20


def test_an_endless_header_is_cut_off(node: NodeProcess) -> None:
    with connect(node, timeout=1) as client:
        sent = 0
        with suppress(OSError):
            client.sendall(b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ")
            while sent < 30 * 2**20:
                sent += client.send(b"y" * 65_536)
    assert sent < 30 * 2**20


def test_pipelined_requests_are_all_answered_in_pieces_of_any_size(node: NodeProcess) -> None:
    """A bound on the head must not refuse a piece that ends within one."""
    data, count = READ * 3000, 3000
    with connect(node) as client:
        answered, at = b"", 0
        while at < len(data):
            at += client.send(data[at : at + 99_991])
            client.settimeout(0.01)
            with suppress(TimeoutError):
                answered += client.recv(2**20)
            client.settimeout(5)
        while answered.count(b"HTTP/1.1 200 OK") < count and (part := client.recv(2**20)):
            answered += part
    assert answered.count(b"HTTP/1.1 200 OK") == count


@pytest.mark.parametrize("depth", [5_000, 100_000, 500_000])
def test_deep_nesting_is_a_parse_error(node: NodeProcess, depth: int) -> None:
    body = b'{"method":"x","params":' + b"[" * depth + b"]" * depth + b"}"
    assert b"-32700" in node.raw(post(body))


def test_a_body_of_a_mebibyte_is_read_and_a_larger_one_dropped(node: NodeProcess) -> None:
    filler = b'{"method":"x","id":1,"params":"%b"}'
    assert b"-32601" in node.raw(post(filler % (b"y" * (2**20 - len(filler) + 2))))
    assert node.raw(b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1048577\r\n\r\n") == b""


def test_random_bytes(node: NodeProcess) -> None:
    chance = random.Random(7)
    for _ in range(200):
        data = chance.randbytes(chance.randrange(1, 400))
        with connect(node) as client:
            client.sendall(data if chance.random() < 0.5 else post(data))
            client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_half_open_sockets_keep_nobody_out(node: NodeProcess, count: int) -> None:
    """Each sends half a request and waits; the node closes them after its five seconds."""
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(connect(node))
            client.sendall(READ[:40])
        started = time.monotonic()
        for _ in range(20):
            node.rpc.call("gov.treasury.balance")
        assert time.monotonic() - started < 10


def test_bad_utf8_is_a_parse_error(node: NodeProcess) -> None:
    assert b"-32700" in node.raw(post(b'{"method":"\xff\xfe"}'))


def test_the_journal_cuts_a_method_name(node: NodeProcess) -> None:
    assert b"-32601" in node.raw(post(call("long" * 25_000)))
    entries = node.control.call("mock.journal")["entries"]
    assert [len(entry["method"]) for entry in entries if (entry["method"] or "").startswith("longlong")] == [256]


def ids(received: bytes) -> list[int]:
    """The ids of the answers; a result's own id has another place."""
    return [int(found) for found in re.findall(rb'{"id":(\d+),"jsonrpc"', received)]


def submits(count: int) -> bytes:
    return b"".join(post(call("gov.treasury.submit_disbursement", payload(), id_)) for id_ in range(1, count + 1))


HELD = [{"fault": "delay", "milliseconds": 200}, {"fault": "slow_body", "bytes_per_second": 2000}]
SUBMIT = "gov.treasury.submit_disbursement"


@pytest.mark.parametrize("fault", HELD)
def test_calls_behind_a_held_answer_wait_for_it(node: NodeProcess, fault: dict[str, Any]) -> None:
    """They share its commit, so their answers are ready before it leaves."""
    node.control.call("mock.fault.add", fault | {"times": 1, "method": SUBMIT})
    assert ids(node.raw(submits(5))) == [1, 2, 3, 4, 5]


def test_two_held_answers_keep_their_order(node: NodeProcess) -> None:
    for milliseconds in (300, 50):
        fault = {
            "fault": "delay",
            "milliseconds": milliseconds,
            "times": 1,
            "method": "gov.treasury.submit_disbursement",
        }
        node.control.call("mock.fault.add", fault)
    assert ids(node.raw(submits(4))) == [1, 2, 3, 4]


def test_garbage_behind_a_held_answer_does_not_cost_it(node: NodeProcess) -> None:
    node.control.call("mock.fault.add", {"fault": "delay", "milliseconds": 200, "times": 1})
    assert ids(node.raw(READ + READ + b"\x00garbage\r\n\r\n")) == [1, 1]


def test_what_follows_an_offered_upgrade_is_the_next_request(node: NodeProcess) -> None:
    offer = "Connection: upgrade\r\nUpgrade: h2c\r\nConnection: keep-alive\r\n"
    first, second = (post(call("gov.treasury.balance", None, id_), extra=offer) for id_ in (1, 2))
    assert ids(node.raw(first + second + post(call("gov.treasury.balance", None, 3)))) == [1, 2, 3]


def test_answers_to_one_piece_of_requests_wait_in_the_client_not_in_the_node(node: NodeProcess) -> None:
    """A piece of 180 kB, behind a write, asks for 100 MiB of lists."""
    for _ in range(60):
        node.rpc.call("gov.treasury.submit_disbursement", payload(memo="x" * 400))
    process = psutil.Process(node.process.pid)
    before = process.memory_info().rss
    lists = post(call("gov.treasury.list_disbursements", {"limit": 50})) * 1200
    with connect(node) as client:
        client.sendall(submits(1) + lists)
        time.sleep(1)
        node.rpc.call("gov.treasury.balance")
        assert process.memory_info().rss - before < 24 * 2**20
        answered = b""
        while answered.count(b"HTTP/1.1 200") < 1201 and (part := client.recv(2**20)):
            answered = answered[-20:] + part if len(answered) > 2**28 else answered + part
        assert answered.count(b"HTTP/1.1 200") == 1201


def test_the_soft_limit_of_open_files_is_raised(node: NodeProcess) -> None:
    soft, hard = resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE)
    assert soft >= min(hard, 65_536)


def test_connections_that_are_gone_or_idle_keep_no_body(node: NodeProcess) -> None:
    process = psutil.Process(node.process.pid)
    body = post(b'{"id":1,"method":"x","params":"%b"}' % (b"y" * 1_000_000))
    before = process.memory_info().rss
    with ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(connect(node))
            client.sendall(body)
            assert client.recv(4096)
        assert process.memory_info().rss - before < 24 * 2**20
    for _ in range(60):
        with connect(node) as client:
            client.sendall(body[:-10])
    time.sleep(0.2)
    node.rpc.call("gov.treasury.balance")
    assert process.memory_info().rss - before < 24 * 2**20
