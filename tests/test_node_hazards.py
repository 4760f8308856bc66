"""Hazards of the ledger: rules of the build that the contract keeps, each shown on the mock without a fault."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, NodeProcess, ask, call, fresh_node, payload, post, timelocked
from shown import shows

from handbook.node import events as ev
from handbook.node.config import Limits
from handbook.node.desk import LOCAL
from handbook.node.exposition import render
from handbook.node.gate import Caller
from handbook.node.node import Node

SUBMIT, QUEUE = "gov.treasury.submit_disbursement", "gov.treasury.queue_disbursement"
EXECUTE, ROLLBACK = "gov.treasury.execute_disbursement", "gov.treasury.rollback_disbursement"
LIST, ONE, BALANCE = "gov.treasury.disbursements", "gov.treasury.disbursement", "gov.treasury.balance"
ADMIN = Caller("127.0.0.1", b"Bearer secret")


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secrets").mkdir()
    Path("secrets/admin.token").write_text("secret\n")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Epoch 5; the treasury account holds 10 000, the counter 1 000 000; the executor ticks on command."""
    with fresh_node(tmp_path) as started:
        started.record(ev.HeightSet(120 * 5), ev.Funded("treasury", 10_000))
        started.start_executor("manual", "node-a", lease=60)
        yield started


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("hazards")) as started:
        yield started


def result(node: Node, method: str, params: Any = None, caller: Caller = LOCAL) -> Any:
    return ask(node, method, params, caller)["result"]


def code(node: Node, method: str, params: Any = None, caller: Caller = LOCAL) -> tuple[int, str]:
    error = ask(node, method, params, caller)["error"]
    assert error.keys() == {"code", "message"}
    return error["code"], error["message"]


def submitted(node: Node, **given: Any) -> int:
    id_: int = result(node, SUBMIT, payload(**given))["id"]
    return id_


def status(node: Node, id_: int) -> dict[str, Any]:
    found: dict[str, Any] = result(node, ONE, {"id": id_})["disbursement"]["disbursement"]["status"]
    return found


def tick(node: Node) -> str:
    assert node.executor
    node.record(ev.ClockSet(node.now() + 1, 0))
    outcome = node.executor.tick()
    node.commit()
    return outcome


def head(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode()


# --- transport


@shows("TB-034", "TB-035")
def test_what_breaks_a_rule_of_http_gets_no_answer(wire: NodeProcess) -> None:
    ask_ = call("consensus.difficulty")
    good = post(ask_)
    for bad in (
        good.replace(b"HTTP/1.1", b"HTTP/1.0"),
        good.replace(b"HTTP/1.1", b"HTTP/2.0"),
        good.replace(b"Host: localhost\r\n", b""),
        good.replace(b"POST", b"TRACE"),
        post(b"x" * 1_048_577),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # how TLS begins
    ):
        assert wire.raw(bad, timeout=10) == b""
    chunked = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ask_), ask_)
    assert b'"code":-32700' in wire.raw(chunked + body)
    assert b'"difficulty":1' in wire.raw(good)


@shows("TB-036", "TB-037")
def test_one_request_over_the_rate_bans_the_address_whatever_a_proxy_says(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "own", {"TB_RPC_TOKENS_PER_SEC": "2"}) as own:
        forwarded = [own.raw(post(call("balance"), extra=f"X-Forwarded-For: 10.0.0.{n}\r\n")) for n in range(4)]
        assert [head(answer).split(" ")[1] for answer in forwarded] == ["200", "200", "429", "429"]
        assert [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in forwarded[2:]] == [
            {"error": {"code": -32001, "message": "rate limited"}, "id": None, "jsonrpc": "2.0"},
            {"error": {"code": -32002, "message": "banned"}, "id": None, "jsonrpc": "2.0"},
        ]
    assert (Limits().tokens_per_second, Limits().ban_seconds) == (100, 60)


@shows("TB-038", "TB-039")
def test_hosts_and_paths_that_are_not_served(wire: NodeProcess) -> None:
    for host in ("node.example", "[::1]:3030", "localhost."):
        assert head(wire.raw(post(call("balance"), host=host))) == "HTTP/1.1 403 Forbidden"
    for path in ("/", "/health", "/healthz", "/status", "/metrics"):
        answer = wire.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert head(answer) == "HTTP/1.1 404 Not Found" and b"content-length: 0" in answer


@shows("TB-129")
def test_a_page_in_a_browser_can_call(wire: NodeProcess) -> None:
    form = "Origin: https://elsewhere.example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    answer = wire.raw(post(call(SUBMIT, payload()), extra=form))
    assert b'"created_at"' in answer and b"access-control-allow-origin" not in answer


# --- RPC


@shows("TB-128")
def test_odd_json_is_read_in_the_builds_own_way(wire: NodeProcess) -> None:
    for body, said in {
        b'{"jsonrpc":"1.0","method":"consensus.difficulty"}': b'"difficulty":1',
        b'{"method":"x","method":"consensus.difficulty"}': b'"difficulty":1',
        b'{"id":1}': b'"code":-32700',
        b'{"method":7}': b'"code":-32700',
        b'{"method":"consensus.difficulty","id":18446744073709551616}': b'"code":-32700',
        b'{"method":"gov.treasury.disbursements","params":{"limit":5.0}}': b'"disbursements":',
        b'{"method":"gov.treasury.disbursements","params":{"limit":5.5}}': b'"code":-32602',
        b'{"method":"gov.treasury.disbursements","params":{"limit":"5"}}': b'"code":-32602',
        b'{"method":"gov.treasury.disbursements","params":{"limit":-1}}': b'"code":-32602',
    }.items():
        assert said in wire.raw(post(body)), body


@shows("TB-130")
def test_queueing_a_cancelled_record_answers_ok(node: Node) -> None:
    id_ = submitted(node)
    result(node, ROLLBACK, {"id": id_, "reason": ""})
    answer = result(node, QUEUE, {"id": id_, "current_epoch": 9})
    assert answer["ok"] and "advanced to RolledBack" in answer["message"] and "RolledBack" in status(node, id_)


@shows("TB-040")
def test_every_refusal_reads_treasury_storage_error(node: Node) -> None:
    voting = submitted(node)
    result(node, QUEUE, {"id": voting, "current_epoch": 9})
    for method, params in (
        (QUEUE, {"id": 99, "current_epoch": 9}),
        (QUEUE, {"id": voting, "current_epoch": 9}),
        (EXECUTE, {"id": timelocked(node, 2_000_000), "tx_hash": "x", "receipts": []}),
    ):
        assert code(node, method, params) == (-32092, "treasury storage error")
    assert code(node, ONE, {"id": 99}) == (-32001, "disbursement 99 not found")


@shows("TB-041")
def test_no_batches_and_no_notifications(wire: NodeProcess) -> None:
    for body in (b"[" + call("balance") + b"]", b"[]"):
        assert json.loads(wire.raw(post(body)).partition(b"\r\n\r\n")[2])["error"]["code"] == -32700
    assert b'"id":null' in wire.raw(post(b'{"method":"consensus.difficulty"}'))


@shows("TB-042")
def test_an_absent_epoch_is_1_and_0_is_the_chains(node: Node) -> None:
    absent, named, zero = submitted(node), submitted(node), submitted(node)
    result(node, QUEUE, {"id": absent})
    result(node, QUEUE, {"id": named, "epoch": 7})
    result(node, QUEUE, {"id": zero, "current_epoch": 0})
    deadlines = [status(node, id_)["Voting"]["vote_deadline_epoch"] for id_ in (absent, named, zero)]
    assert deadlines == [2, 2, 6]


@shows("TB-043")
def test_after_id_is_ignored(node: Node) -> None:
    ids = [submitted(node) for _ in range(3)]
    for asked, first in (({"after_id": 2}, 3), ({"cursor": 2}, 1)):
        found = result(node, LIST, {"limit": 1, **asked})["disbursements"]
        assert found[0]["disbursement"]["id"] == first
    assert ids == [1, 2, 3]


@shows("TB-044")
def test_records_are_nested_and_states_are_objects(node: Node) -> None:
    submitted(node)
    (entry,) = result(node, LIST)["disbursements"]
    record = entry["disbursement"]
    assert entry.keys() == {"deps", "disbursement"} and entry["deps"] == [] == record["receipts"]
    assert list(record["status"]) == ["Draft"] and result(node, BALANCE)["executor"] is None


@shows("TB-045")
def test_the_same_submission_twice_is_two_payments(node: Node) -> None:
    same = payload()
    same["payload"]["disbursement"]["destination"] = "tb1"
    assert [result(node, SUBMIT, same)["id"] for _ in range(2)] == [1, 2]


@shows("TB-046")
def test_booking_looks_at_nothing(node: Node) -> None:
    id_ = timelocked(node, 100, epoch=999, memo="depends_on=77")
    booked = result(node, EXECUTE, {"id": id_, "tx_hash": "", "receipts": [{"account": "x", "amount": 1}]})
    assert booked["ok"] and status(node, id_)["Executed"]["tx_hash"] == "" and not node.state.mempool
    assert result(node, BALANCE)["balance"] == 999_900


@shows("TB-047")
def test_a_rollback_works_from_every_state(node: Node) -> None:
    id_ = timelocked(node, 100)
    assert tick(node) == "success"
    node.record(ev.Mined(120 * 50))
    for reason in ("late", "later"):
        assert result(node, ROLLBACK, {"id": id_, "reason": reason})["ok"]
        assert status(node, id_)["RolledBack"]["reason"] == reason
    assert (
        result(node, BALANCE)["balance"] == 1_000_000 and result(node, "balance", {"address": "tb1qx"})["amount"] == 100
    )


@shows("TB-048")
def test_nobody_is_asked_who_he_is(node: Node) -> None:
    id_ = result(node, SUBMIT, {**payload(), "signature": "not one"}, Caller("10.0.0.9"))["id"]
    assert result(node, ROLLBACK, {"id": id_, "reason": ""}, Caller("10.0.0.9"))["ok"]


@shows("TB-049", "TB-065")
def test_a_wrong_token_is_method_not_found_and_a_proposal_stays_open(node: Node) -> None:
    for caller in (LOCAL, Caller("127.0.0.1", b"Bearer wrong"), Caller("127.0.0.1", b"bearer secret")):
        assert code(node, "gov_params", {}, caller) == (-32601, "method not found")
    change = {"key": "TreasuryPercent", "new_value": 10, "max": 100, "vote_deadline": 2}
    id_ = result(node, "gov_propose", change, ADMIN)["id"]
    for choice in ("no", "yes"):
        assert result(node, "gov_vote", {"proposal_id": id_, "voter": "me", "choice": choice}, ADMIN) == {"ok": True}
    node.record(ev.Mined(120 * 50))
    (proposal,) = result(node, "gov_list", {}, ADMIN)
    assert proposal["status"] == "Open"
    assert result(node, "gov_params", {}, ADMIN)["params"]["treasury_percent"] == 0


@shows("TB-050", "TB-123")
def test_a_reload_is_open_to_everybody_and_leaves_the_rpc_section(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "own") as own:
        file = tmp_path / "own" / "node-data" / "default.toml"
        file.write_text(file.read_text().replace('["127.0.0.1","localhost"]', '["elsewhere"]'))
        assert own.rpc.call("config.reload") == {"reloaded": True} and "elsewhere" in file.read_text()
        assert head(own.raw(post(call("balance"), host="elsewhere"))).endswith("403 Forbidden")
        assert b'"amount":0' in own.raw(post(call("balance", {"address": "x"})))


@shows("TB-051", "TB-052")
def test_a_quirk_of_names_and_families_that_cannot_be_called(node: Node) -> None:
    assert result(node, "x.claim_routes.y") == {"status": "ok"}
    for method in ("tx_status", "vm.estimate_gas", "bridge.x", "ledger.shard_of", "node.get_ack_privacy"):
        assert code(node, method) == (-32601, "method not found")


@shows("TB-053")
def test_a_header_asked_of_an_empty_chain_ends_the_executor(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "own", clock=NEW_YEAR) as own:
        own.control.call("mock.executor", {"mode": "manual"})
        own.control.call("mock.tick")
        for method in ("light.latest_header", "light.headers", "jurisdiction.status"):
            assert own.raw(post(call(method))) == b""
        own.control.call("mock.clock", {"advance": 60})
        assert own.control.call("mock.tick") == {"alive": False, "outcomes": []}
        assert own.rpc.call(BALANCE)["executor"]["last_tick_at"] == NEW_YEAR
        assert own.rpc.call("consensus.difficulty") == {"difficulty": 1}


# --- governance of disbursements


@shows("TB-056", "TB-057", "TB-059")
def test_nobody_votes_and_the_caller_ends_the_waiting(node: Node) -> None:
    id_ = submitted(node, quorum={"operators_ppm": 1_000_000, "builders_ppm": 1_000_000}, timelock_epochs=90)
    for epoch in (100, 200, 300):
        result(node, QUEUE, {"id": id_, "current_epoch": epoch})
    assert status(node, id_) == {"Timelocked": {"ready_epoch": 300}} and node.state.epoch == 5
    events = [one["event"] for one in result(node, "gov.treasury.balance_history")["snapshots"]]
    assert events == ["Queued", "Accrual"], "written at submission; queueing wrote nothing"
    assert result(node, EXECUTE, {"id": id_, "tx_hash": "x", "receipts": []})["ok"]


@shows("TB-058", "TB-060", "TB-075")
def test_executed_is_not_mined_and_the_two_balances_go_their_own_ways(node: Node) -> None:
    id_ = timelocked(node, 100)
    assert tick(node) == "success"
    entry = result(node, ONE, {"id": id_})["disbursement"]["disbursement"]
    assert "Executed" in entry["status"] and entry["receipts"] == []
    assert result(node, "balance", {"address": "tb1qx"}) == {"amount": 0}
    found = result(node, BALANCE)
    assert (found["balance"], result(node, "balance", {"address": "treasury"})["amount"]) == (999_900, 10_000)
    assert found["executor"]["pending_matured"] == 1, "just paid"
    node.record(ev.BalanceMoved("Accrual", 50, None, node.now()), ev.Mined(1))
    assert (node.state.counter, node.state.accounts["treasury"].balance) == (999_950, 9_900)
    node.record(ev.Mined(120 * 50))
    assert "Executed" in status(node, id_), "Finalized never comes"


@shows("TB-061")
def test_a_cancelled_dependency_lets_the_dependent_go(node: Node) -> None:
    first = timelocked(node)
    second = timelocked(node, memo=f"depends_on={first}")
    result(node, ROLLBACK, {"id": first, "reason": "wrong"})
    assert tick(node) == "success" and "Executed" in status(node, second)


@shows("TB-062")
def test_a_record_that_waits_for_itself_waits_without_a_word(node: Node) -> None:
    id_ = timelocked(node, memo="depends_on=1")
    for _ in range(3):
        assert tick(node) == "success"
    assert "Timelocked" in status(node, id_)
    assert {"pending_matured": 0, "last_error": None}.items() <= result(node, BALANCE)["executor"].items()


@shows("TB-063")
def test_only_a_memo_that_begins_with_depends_on_is_understood(node: Node) -> None:
    memos = {"depends_on=1,2,2": [1, 2], "note depends_on=1": [], "DEPENDS_ON=1": [], '{"depends_on":7}': []}
    memos |= {'{"depends_on":[1,"2",-3]}': [1, 2], "depends_on=" + ",".join(map(str, range(1, 200))): [*range(1, 101)]}
    for memo, deps in memos.items():
        assert result(node, ONE, {"id": submitted(node, memo=memo)})["disbursement"]["deps"] == deps


@shows("TB-064")
def test_only_the_1024_newest_are_kept(node: Node) -> None:
    first = timelocked(node, epoch=9)
    for _ in range(1024):
        submitted(node)
    assert code(node, ONE, {"id": first}) == (-32001, f"disbursement {first} not found")
    assert len(node.state.records) == 1024


# --- executor


@shows("TB-066", "TB-067")
def test_the_thread_ends_without_a_word(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    tick(node)
    before, gauges = result(node, BALANCE)["executor"], dict(node.metrics.gauges)
    timelocked(node, memo="depends_on=77")
    assert tick(node).startswith("ended: ")
    for _ in range(3):
        tick(node)
    after = result(node, BALANCE)["executor"]
    assert after["last_tick_at"] == before["last_tick_at"] and after["last_error"] is None
    assert node.metrics.gauges == gauges and capfd.readouterr() == ("", "")
    node.start_executor("manual", "node-a")
    assert tick(node).startswith("ended: "), "the same record ends it again"


@shows("TB-068")
def test_the_payment_is_sent_before_the_record_is_checked(node: Node) -> None:
    id_ = submitted(node, amount=200)
    for epoch in (1, 2):
        result(node, QUEUE, {"id": id_, "current_epoch": epoch})
    assert tick(node) == f"ended: disbursement {id_} still timelocked; advance state before execution"
    assert "Queued" in status(node, id_) and len(node.state.mempool) == 1


@shows("TB-070", "TB-105")
def test_one_payment_that_cannot_be_signed_holds_up_all_later_ones(node: Node) -> None:
    tick(node)
    gauges = dict(node.metrics.gauges)
    large, small = timelocked(node, 20_000), timelocked(node, 1)
    for _ in range(2):
        assert tick(node) == "error: insufficient treasury BLOCK balance"
    assert [next(iter(status(node, id_))) for id_ in (large, small)] == ["Timelocked", "Timelocked"]
    assert result(node, BALANCE)["executor"]["last_error"] == "insufficient treasury BLOCK balance"
    assert node.metrics.gauges == gauges and gauges["treasury_executor_last_error_seconds"] == 0


@shows("TB-071")
def test_after_a_kill_the_dead_process_holds_the_lease(tmp_path: Path) -> None:
    flags = {"treasury_executor": True, "treasury_key": "k"}
    with NodeProcess(tmp_path / "own", **flags) as own:
        holder = own.rpc.call(BALANCE)["executor"]["lease_holder"]
        assert holder == f"treasury-{own.process.pid}"
        own.stop()
    with NodeProcess(tmp_path / "own", **flags) as own:
        assert own.rpc.call(BALANCE)["executor"]["last_error"] == f"lease_held_by {holder}"


@shows("TB-072", "TB-087", "TB-102")
def test_two_nodes_know_nothing_of_each_other(tmp_path: Path) -> None:
    with fresh_node(tmp_path / "a") as one, fresh_node(tmp_path / "b") as other:
        for node in (one, other):
            assert result(node, "net.gossip_status") == {"status": "unavailable"}
            assert result(node, "net.peer_stats_all") == []
            node.record(ev.HeightSet(600), ev.Funded("treasury", 1_000))
            node.start_executor("manual", node.config.data_dir.parent.name)
            timelocked(node)
            assert tick(node) == "success", "each has its own lease, and pays"
        terms = {"capacity_kwh": 9, "jurisdiction": "US_CA", "meter_address": "m", "price_per_kwh": 3, "stake": 5000}
        result(one, "energy.register_provider", terms, ADMIN)
        assert [len(result(n, "energy.market_state", {}, ADMIN)["providers"]) for n in (one, other)] == [1, 0]


@shows("TB-073")
def test_an_older_database_pays_again(node: Node) -> None:
    id_ = timelocked(node, 100)
    assert tick(node) == "success"
    node.record(ev.Mined(1))
    older = ev.StatusSet(id_, {"Timelocked": {"ready_epoch": 3}}, node.now())
    node.record(older)
    assert tick(node) == "success"
    node.record(ev.Mined(1))
    assert result(node, "balance", {"address": "tb1qx"}) == {"amount": 200}


@shows("TB-074")
def test_a_tick_pays_all_that_is_due_before_anybody_can_ask(tmp_path: Path) -> None:
    with fresh_node(tmp_path / "own") as node:
        node.record(ev.HeightSet(600), ev.Funded("treasury", 1_000_000))
        ids = [timelocked(node, 1) for _ in range(150)]
        node.commit()
    program = (
        "import sys; from pathlib import Path; from handbook.node.config import Config; from handbook.node.node import "
        "Node; n = Node(Config(data_dir=Path(sys.argv[1]), treasury_executor=True, treasury_key='k', "
        "min_fee_per_byte=0)); n.executor.tick(); print(len(n.state.mempool))"
    )
    paid = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "own" / "node-data")], capture_output=True, text=True, check=True
    )
    assert int(paid.stdout) == len(ids), "no listener was there yet"


@shows("TB-131")
def test_a_payment_costs_a_fee_that_the_counter_does_not_know(tmp_path: Path) -> None:
    with fresh_node(tmp_path / "own", min_fee_per_byte=1) as node:
        node.record(ev.HeightSet(600), ev.Funded("treasury", 10_000))
        node.start_executor("manual")
        for amount in (1, 1000):
            timelocked(node, amount)
        assert tick(node) == "success"
        node.record(ev.Mined(1))
        assert (node.state.counter, node.state.accounts["treasury"].balance) == (998_999, 10_000 - 1_001 - 2 * 540)


# --- metrics


@shows("TB-106", "TB-110")
def test_a_series_is_absent_until_its_first_event_and_none_is_by_method(node: Node) -> None:
    assert "treasury_executor_result_total" not in render(node)
    assert "treasury_executor_last_tick_seconds" not in render(node)
    timelocked(node)
    tick(node)
    assert 'treasury_executor_result_total{result="success"} 1' in render(node)
    assert "rpc_latency_seconds" not in render(node) and "method=" not in render(node)


@shows("TB-125")
def test_the_metrics_port_answers_on_every_path(wire: NodeProcess) -> None:
    host, port = wire.metrics.removeprefix("http://").removesuffix("/metrics").split(":")
    for verb, path in (("GET", "/"), ("POST", "/elsewhere"), ("DELETE", "/metrics")):
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request(verb, path)
        assert b"# TYPE energy_provider_total gauge" in connection.getresponse().read()
        connection.close()
    assert "# TYPE energy_provider_total gauge" in wire.rpc.call("metrics")
