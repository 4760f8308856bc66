"""The listener on real sockets: what is answered, what is dropped, who is let in."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_process import NEW_YEAR, NodeProcess, call, payload, post

OK = b'{"id":1,"jsonrpc":"2.0","result":{"difficulty":1}}'
PARSE_ERROR = b'{"error":{"code":-32700,"message":"parse error"},"id":null,"jsonrpc":"2.0"}'
ASK = call("consensus.difficulty")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("wire"), treasury_balance=1_000_000, clock=NEW_YEAR) as started:
        yield started


def body_of(received: bytes) -> bytes:
    return received.partition(b"\r\n\r\n")[2]


def status_of(received: bytes) -> int:
    return int(received.split(b" ")[1])


def test_a_call_is_answered_as_the_node_answers_it(node: NodeProcess) -> None:
    received = node.raw(post(ASK))
    assert OK == body_of(received)
    head = received.partition(b"\r\n\r\n")[0]
    assert b"content-type: application/json" in head and b"keep-alive: timeout=90" in head


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(ASK).replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(ASK).replace(b"Host: localhost\r\n", b""),
        post(ASK).replace(b"Host: localhost", b"Host localhost"),
        post(ASK).replace(b"POST", b"TRACE"),
        post(ASK).replace(b"POST", b"post"),
        post(ASK).replace(b"POST / ", b"POST / extra "),
        post(ASK, extra="Content-Length: x\r\n"),
        post(ASK).replace(f"Content-Length: {len(ASK)}".encode(), b"Content-Length: 1048577"),
    ],
    ids=["HTTP 1.0", "no Host", "no colon", "TRACE", "lower case verb", "four parts", "bad length", "over 1 MiB"],
)
def test_what_the_node_cannot_read_is_dropped_without_a_word(node: NodeProcess, request_bytes: bytes) -> None:
    assert b"" == node.raw(request_bytes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" + ASK + b"]",
        b"5",
        b"{",
        ASK + b"x",
        b"{}",
        b'{"method":5}',
        b"{'method':'x'}",
        b'{"method":"consensus.difficulty","jsonrpc":2}',
        b'{"method":"consensus.difficulty","badge":1}',
        b'{"method":"consensus.difficulty","id":18446744073709551616}',
        b'{"method":"consensus.difficulty","params":{"a":[-18446744073709551616]}}',
        b'{"method":"consensus.difficulty","id":"\x01"}',
        b'{"method":"consensus.difficulty",}',
        b'{"method":"consensus.difficulty","id":"\xff"}',
        b"[" * 100_000,
        b'{"params":' + b"[" * 5000,
    ],
)
def test_a_body_that_is_no_call_is_a_parse_error(node: NodeProcess, body: bytes) -> None:
    received = node.raw(post(body))
    assert (200, PARSE_ERROR) == (status_of(received), body_of(received))


@pytest.mark.parametrize(
    "id_", ["1", "-1", "1.5", '"x"', "null", "true", "[1,2]", '{"a":1,"b":[]}', "18446744073709551615"]
)
def test_the_id_comes_back_as_it_was(node: NodeProcess, id_: str) -> None:
    body = f'{{"method":"consensus.difficulty","id":{id_}}}'.encode()
    assert f'{{"id":{id_},"jsonrpc":"2.0","result":{{"difficulty":1}}}}'.encode() == body_of(node.raw(post(body)))


@pytest.mark.parametrize(
    "body",
    [
        b'{"method":"consensus.difficulty"}',
        b'{"method":"consensus.difficulty","jsonrpc":"1.0","extra":1}',
        b'{"method":"x","method":"consensus.difficulty"}',
        b'{"method":"consensus.difficulty","params":[1]}',
    ],
)
def test_a_loose_envelope_is_a_call_and_a_notification_is_answered(node: NodeProcess, body: bytes) -> None:
    assert OK.replace(b'"id":1', b'"id":null') == body_of(node.raw(post(body)))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("LOCALHOST", 200),
        ("localhost:99", 200),
        ("127.0.0.1:80:90", 200),
        (" 127.0.0.1 ", 200),
        ("localhost.", 403),
        ("0.0.0.0", 403),
        ("[::1]:3030", 403),
        ("", 403),
        ("example.org", 403),
    ],
)
def test_the_host_list_is_the_nodes(node: NodeProcess, host: str, status: int) -> None:
    received = node.raw(post(ASK, host=host))
    assert status == status_of(received)
    if status == 403:
        assert b"" == body_of(received) and b"connection: close" in received


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/health", 404),
        ("PUT", "/", 404),
        ("GET", "/metrics", 404),
        ("POST", "/./", 404),
        ("POST", "//", 200),
        ("POST", "/?a=1", 200),
        ("POST", "/rpc", 200),
        ("OPTIONS", "/", 403),
        ("GET", "/badge/status", 200),
        ("GET", "/logs/search", 404),
    ],
)
def test_routes_are_the_nodes_and_a_wrong_verb_is_a_404(node: NodeProcess, verb: str, path: str, status: int) -> None:
    received = node.raw(post(ASK, path).replace(b"POST", verb.encode(), 1))
    assert status == status_of(received)
    if path == "/badge/status":
        assert b'{"active":false,"last_burn":null,"last_mint":null}' == body_of(received)


def test_pipelined_calls_are_answered_in_order_writes_and_reads_mixed(node: NodeProcess) -> None:
    submit = call("gov.treasury.submit_disbursement", payload(), "w")
    reads = [call("gov.treasury.balance", None, n) for n in range(3)]
    received = node.raw(post(reads[0]) + post(submit) + post(reads[1]) + post(b"[]") + post(reads[2]))
    answers = [json.loads(body_of(part)) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert [0, "w", 1, None, 2] == [answer["id"] for answer in answers]
    assert ["Accrual", "Queued"] == [answers[n]["result"]["last_snapshot"]["event"] for n in (0, 2)]


def test_a_chunked_body_counts_as_empty_and_a_connection_value_closes(node: NodeProcess) -> None:
    chunked = f"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{len(ASK):x}\r\n".encode()
    assert PARSE_ERROR == body_of(node.raw(chunked + ASK + b"\r\n0\r\n\r\n"))
    with socket.create_connection(node.address, timeout=2) as connection:
        connection.sendall(post(ASK, extra="Connection: close\r\n") + post(ASK))
        received = b""
        while part := connection.recv(65536):
            received += part
    assert 1 == received.count(b"HTTP/1.1 200") and b"connection: close" in received


def test_a_body_may_arrive_in_pieces(node: NodeProcess) -> None:
    with socket.create_connection(node.address, timeout=2) as connection:
        for piece in (post(ASK)[:30], post(ASK)[30:-5], post(ASK)[-5:]):
            connection.sendall(piece)
            time.sleep(0.02)
        assert OK == body_of(connection.recv(65536))


def test_a_latest_header_on_an_empty_chain_gets_no_answer_and_others_still_do(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        assert b"" == own.raw(post(call("light.latest_header")))
        assert OK == body_of(own.raw(post(ASK)))
        own.control.call("mock.reset", {"height": 52})
        assert 52 == own.rpc.call("light.latest_header")["height"]


def test_a_burst_over_the_limit_is_refused_then_banned_and_later_let_in_again(tmp_path: Path) -> None:
    env = {"TB_RPC_TOKENS_PER_SEC": "5", "TB_RPC_BAN_SECS": "1"}
    with NodeProcess(tmp_path, env) as own:
        received = [own.raw(post(ASK, host="example.org" if n > 5 else "localhost")) for n in range(8)]
        assert [200] * 5 + [429] * 3 == [status_of(answer) for answer in received]
        assert b'{"error":{"code":-32001,"message":"rate limited"},"id":null,"jsonrpc":"2.0"}' == body_of(received[5])
        assert b'{"error":{"code":-32002,"message":"banned"},"id":null,"jsonrpc":"2.0"}' == body_of(received[6])
        assert b"connection: close" in received[6]
        assert 404 == status_of(own.raw(post(ASK, "/nowhere"))), "a 404 costs nothing"
        assert "contract" == own.control.call("mock.status")["build"], "the control listener has no limiter"
        time.sleep(1.1)
        assert 200 == status_of(own.raw(post(ASK)))
        text = urllib.request.urlopen(own.metrics).read().decode()
        for line in ("rpc_rate_limit_attempt_total 9", "rpc_rate_limit_reject_total 3", "rpc_bans_total 1",
                     'rpc_client_error_total{code="2000"} 1', 'rpc_client_error_total{code="2001"} 2'):  # fmt: skip
            assert line in text


def test_metrics_are_served_on_any_path_and_have_the_contracts_series(node: NodeProcess) -> None:
    with urllib.request.urlopen(node.metrics.replace("/metrics", "/anything")) as answer:
        assert "text/plain; charset=utf-8" == answer.headers["content-type"]
        text = answer.read().decode()
    for series in (
        'governance_disbursements_total{status="other"} 0',
        'treasury_disbursement_backlog{status="voting"} 0',
        'treasury_disbursement_lag_seconds_bucket{le="86400"} 0',
        "oracle_latency_seconds_count 0",
    ):
        assert f"\n{series}\n" in text
    assert "treasury_executor_last_tick_seconds" not in text, "the node has not set it"
    assert node.rpc.call("metrics").splitlines()[0] == text.splitlines()[0]


def test_a_node_is_ready_quickly_and_stops_cleanly(tmp_path: Path) -> None:
    own = NodeProcess(tmp_path, treasury_balance=5)
    assert own.seconds_to_ready < 2, own.seconds_to_ready
    assert ["metrics", "control", "RPC"] == [line.split()[0] for line in own.lines]
    assert 0 == own.stop()


def test_a_port_in_use_a_bad_address_and_a_missing_key_are_one_line_and_status_1(
    node: NodeProcess, tmp_path: Path
) -> None:
    taken = f"127.0.0.1:{node.address[1]}"
    cases = [
        ({"rpc_addr": taken}, f"--rpc-addr {taken}: the address is in use (hint: "),
        ({"rpc_addr": "localhost:1"}, "--rpc-addr localhost:1: expected IP:PORT"),
        ({"treasury_executor": True}, "--treasury-executor requires --treasury-key <key-id>"),
    ]
    for flags, message in cases:
        own = NodeProcess(tmp_path, wait=False, **flags)
        out, error = own.process.communicate(timeout=5)
        assert (1, 1) == (own.process.returncode, error.count("\n")), error
        assert message in error
        assert "RPC listening" not in out


def test_nobody_else_may_use_the_data_directory(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        second = NodeProcess(tmp_path, wait=False)
        error = second.process.communicate(timeout=5)[1]
        assert 1 == second.process.returncode
        assert f"is in use by process {own.process.pid}: " in error and 1 == error.count("\n")


def test_the_driver_sees_no_traceback_when_stopped_under_load(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as own:
        with socket.create_connection(own.address) as connection:
            connection.sendall(post(call("gov.treasury.submit_disbursement", payload())) * 50)
            own.process.terminate()
            error = own.process.communicate(timeout=5)[1]
        assert (0, "") == (own.process.returncode, error)
