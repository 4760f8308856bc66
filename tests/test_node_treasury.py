"""The treasury methods beyond what was recorded: filters, hidden refusals, aliases, debug texts, dependencies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from node_process import NEW_YEAR, ask, fresh_node, payload, timelocked

from handbook.node import dependencies, lifecycle
from handbook.node import events as ev
from handbook.node.config import Limits
from handbook.node.contract import SNIPPETS, Contract
from handbook.node.exposition import Metrics
from handbook.node.limiter import BANNED, RATE_LIMITED, Limiter
from handbook.node.methods import ALIASES, METHODS, STATUS_ALIASES
from handbook.node.node import Node

LIST = "gov.treasury.disbursements"
STORAGE = {"code": -32092, "message": "treasury storage error"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with fresh_node(tmp_path) as started:
        yield started


@pytest.fixture
def several(node: Node) -> Node:
    """1 Draft, 2 Voting, 3 Queued, 4 Timelocked, 5 Executed, 6 RolledBack; amounts 10, 20, …"""
    for n in range(1, 7):
        ask(node, "gov.treasury.submit_disbursement", payload(n * 10, epoch=n))
        for step in range(min(n - 1, 3)):
            ask(node, "gov.treasury.queue_disbursement", {"id": n, "current_epoch": step + 1})
    ask(
        node,
        "gov.treasury.execute_disbursement",
        {"id": 5, "tx_hash": "h", "receipts": [{"account": "a", "amount": 5.0}]},
    )
    ask(node, "gov.treasury.rollback_disbursement", {"id": 6, "reason": "r"})
    return node


def ids(answer: dict[str, Any]) -> list[int]:
    return [entry["disbursement"]["id"] for entry in answer["result"]["disbursements"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"status": "Scheduled"}, [4, 3, 2, 1]),
        ({"status": "Cancelled"}, [6]),
        ({"status": "Finalized"}, []),
        ({"status": "queued"}, [3]),
        ({"status": "rolled_back"}, [6]),
        ({"status": None}, [6, 5, 4, 3, 2, 1]),
        ({"cursor": 3}, [2, 1]),
        ({"cursor": 0}, []),
        ({"cursor": 99.0}, [6, 5, 4, 3, 2, 1]),
        ({"after_id": 3}, [6, 5, 4, 3, 2, 1]),
        ({"destination": "TB1QX"}, [6, 5, 4, 3, 2, 1]),
        ({"destination": "x"}, []),
        ({"min_epoch": 2, "max_epoch": 3}, [3, 2]),
        ({"min_amount": 50}, [6, 5]),
        ({"max_created_at": NEW_YEAR - 1}, []),
        ({"max_status_ts": 100}, [4, 2]),
        ({"min_status_ts": NEW_YEAR}, [6, 5, 3, 1]),
    ],
)
def test_a_filter_selects_what_the_node_selects(several: Node, params: dict[str, Any], expected: list[int]) -> None:
    assert expected == ids(ask(several, LIST, params))


def test_pages_end_with_a_null_cursor(several: Node) -> None:
    first = ask(several, LIST, {"limit": 4})
    assert ([6, 5, 4, 3], 3) == (ids(first), first["result"]["next_cursor"])
    last = ask(several, LIST, {"limit": 2, "cursor": 3})
    assert ([2, 1], None) == (ids(last), last["result"]["next_cursor"])


@pytest.mark.parametrize(
    "params",
    [
        {"limit": None},
        {"limit": -1},
        {"limit": "5"},
        {"limit": 1.5},
        {"status": "QUEUED"},
        {"status": 1},
        {"cursor": "1"},
        [],
        "x",
        {"destination": 5},
    ],
)
def test_a_param_of_the_wrong_type_is_refused_without_a_hint(node: Node, params: Any) -> None:
    assert {"code": -32602, "message": "invalid params"} == ask(node, LIST, params)["error"]


def test_without_aliases_the_seed_names_are_unknown(tmp_path: Path) -> None:
    with fresh_node(tmp_path, aliases=False) as node:
        assert -32601 == ask(node, "gov.treasury.list_disbursements")["error"]["code"]
        assert -32602 == ask(node, LIST, {"status": "queued"})["error"]["code"]
    with fresh_node(tmp_path) as node:
        assert [] == ids(ask(node, "gov.treasury.list_disbursements", {"status": "queued"}))


@pytest.mark.parametrize(
    ("method", "params", "reason"),
    [
        ("queue", {"id": 9}, "unknown treasury disbursement id 9"),
        ("queue", {"id": 2, "current_epoch": 1}, "vote window for disbursement 2 open until epoch 2"),
        ("queue", {"id": 3}, "disbursement 3 timelock expires at epoch 3"),
        (
            "execute",
            {"id": 1, "tx_hash": "", "receipts": []},
            "disbursement 1 requires governance approval; advance through voting first",
        ),
        (
            "execute",
            {"id": 2, "tx_hash": "", "receipts": []},
            "cannot execute disbursement 2 from status Voting { vote_deadline_epoch: 2 }",
        ),
        (
            "execute",
            {"id": 3, "tx_hash": "", "receipts": []},
            "disbursement 3 still timelocked; advance state before execution",
        ),
        ("rollback", {"id": 9, "reason": ""}, "unknown treasury disbursement id 9"),
    ],
)
def test_every_refusal_is_the_same_error_and_the_journal_knows_why(
    several: Node, method: str, params: dict[str, Any], reason: str
) -> None:
    before = several.state.last_snapshot
    assert STORAGE == ask(several, f"gov.treasury.{method}_disbursement", params)["error"]
    assert reason == several.journal.page(0, None)["entries"][-1]["error"]["reason"]
    assert before == several.state.last_snapshot


def test_an_epoch_of_zero_asks_the_chain_and_none_means_one(node: Node) -> None:
    node.record(ev.HeightSet(120 * 7))
    ask(node, "gov.treasury.submit_disbursement", payload())
    ask(node, "gov.treasury.submit_disbursement", payload())
    zero = ask(node, "gov.treasury.queue_disbursement", {"id": 1, "current_epoch": 0, "epoch": 50})
    none = ask(node, "gov.treasury.queue_disbursement", {"id": 2, "epoch": 50})
    assert "disbursement 1 advanced to Voting { vote_deadline_epoch: 8 }" == zero["result"]["message"]
    assert "disbursement 2 advanced to Voting { vote_deadline_epoch: 2 }" == none["result"]["message"]


def test_a_payment_rolled_back_credits_the_counter_and_keeps_its_hash_once(several: Node) -> None:
    assert 1_000_000 - 50 == several.state.counter
    assert {"message": "disbursement 5 cancelled", "ok": True} == (
        ask(several, "gov.treasury.rollback_disbursement", {"id": 5, "reason": "a"})["result"]
    )
    assert 1_000_000 == several.state.counter
    status = several.state.records[5]["disbursement"]["status"]
    assert {"RolledBack": {"prior_tx": "h", "reason": "a", "rolled_back_at": NEW_YEAR}} == status
    ask(several, "gov.treasury.rollback_disbursement", {"id": 5, "reason": "b"})
    assert (1_000_000, None) == (
        several.state.counter,
        several.state.records[5]["disbursement"]["status"]["RolledBack"]["prior_tx"],
    )


def test_an_execution_replaces_the_receipts_and_a_short_counter_refuses_it(several: Node) -> None:
    assert [{"account": "a", "amount": 5}] == several.state.records[5]["disbursement"]["receipts"]
    big = timelocked(several, 2_000_000)
    params = {"id": big, "tx_hash": "x", "receipts": []}
    assert STORAGE == ask(several, "gov.treasury.execute_disbursement", params)["error"]
    for broken in ({"id": big, "tx_hash": "x"}, params | {"receipts": None}, params | {"receipts": [{"account": "a"}]}):
        assert -32602 == ask(several, "gov.treasury.execute_disbursement", broken)["error"]["code"]


def test_a_status_is_printed_as_the_node_prints_it() -> None:
    assert 'Executed { tx_hash: "a\\"b\\n", executed_at: 1 }' == lifecycle.debug(
        {"Executed": {"executed_at": 1, "tx_hash": 'a"b\n'}}
    )
    fields = {"prior_tx": None, "reason": "it's", "rolled_back_at": 2}
    assert 'RolledBack { reason: "it\'s", rolled_back_at: 2, prior_tx: None }' == lifecycle.debug(
        {"RolledBack": fields}
    )
    assert 'prior_tx: Some("h")' in lifecycle.debug({"RolledBack": fields | {"prior_tx": "h"}})


@pytest.mark.parametrize(
    ("memo", "expected"),
    [
        ("depends_on=1,2,2", [1, 2]),
        ("depends_on: 3 , x,4", [3, 4]),
        ('{"depends_on":[1,"2",-3,4.0,null]}', [1, 2, 4]),
        ("note depends_on=6", []),
        ("DEPENDS_ON=1", []),
        ('{"depends_on":7}', []),
        ('{"depends_on":"8,9"}', []),
        ("[1,2]", []),
        (" depends_on=+5 ", [5]),
        ("depends_on=-1,18446744073709551616", []),
        ('{"depends_on":[true,1e400]}', []),
        ("{" * 5000, []),
        ("depends_on=" + ",".join(map(str, range(200))), list(range(100))),
        ("depends_on=1" + " " * 9000, [1]),
        ("depends_on=1," + "x" * 9000, []),
    ],
)
def test_a_memo_names_the_dependencies_that_the_node_reads_in_it(memo: str, expected: list[int]) -> None:
    assert expected == dependencies.from_memo(memo)


def test_the_limiter_lets_a_burst_through_refuses_one_and_bans() -> None:
    limiter = Limiter(Limits(tokens_per_second=100, ban_seconds=60, forget_seconds=300), Metrics())
    start = 1000.0
    passed = [limiter.refuse("a", start + n * 0.0004) for n in range(105)]
    assert [None] * 104 + [RATE_LIMITED] == passed, "100 tokens, and 4 that came back within 42 ms"
    assert BANNED == limiter.refuse("a", start + 30) == limiter.refuse("a", start + 60)
    assert None is limiter.refuse("b", start + 30)
    assert None is limiter.refuse("a", start + 60.05), "tries during the ban did not lengthen it"
    short = Limiter(Limits(tokens_per_second=0.5, ban_seconds=1000, forget_seconds=300), Metrics())
    assert [RATE_LIMITED, BANNED, RATE_LIMITED] == [short.refuse("a", at) for at in (0.0, 299.0, 301.5)], (
        "a bucket below one token"
    )


DOCUMENT = json.loads((SNIPPETS / "openrpc.json").read_text())


UNREACHABLE = ("gov.treasury.", "gov.energy_settlement", "energy.slashes", "energy.update_provider")


def test_the_document_describes_the_methods_that_are_served_and_no_others() -> None:
    described = {method["name"]: method for method in DOCUMENT["methods"]}
    assert set(METHODS) == set(described) and 51 == len(described)
    assert "1.3.2" == DOCUMENT["openrpc"]
    for method in described.values():
        assert method["x-effect"] in ("read", "write", "destructive")
        assert {
            "contract": "served",
            "0ecc756a": "unreachable" if method["name"].startswith(UNREACHABLE) else "served",
        } == method["x-builds"]
    alias = described[LIST]["x-alias"]
    assert list(ALIASES) == alias["names"] and list(STATUS_ALIASES) == alias["status"]


def test_every_schema_is_2020_12_has_its_address_and_is_used() -> None:
    Contract().warm()
    text = json.dumps(DOCUMENT)
    schemas = {path: json.loads(path.read_text()) for path in sorted((SNIPPETS / "schemas").glob("*.json"))}
    everything = text + "".join(map(json.dumps, schemas.values()))
    ours = {
        path: s
        for path, s in schemas.items()
        if f'"{s.get("$id")}"' in everything.replace(f'"$id": "{s.get("$id")}"', "")
    }
    assert 40 <= len(ours)
    for path, schema in ours.items():
        assert f"https://handbook.the-block.example/schemas/{path.name}" == schema["$id"]
        jsonschema.Draft202012Validator.check_schema(schema)
