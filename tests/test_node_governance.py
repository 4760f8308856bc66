"""Parameter governance, and the liveness methods that insist on a clean chain lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from node_process import fresh_node

from handbook.node import events as ev
from handbook.node.desk import Desk
from handbook.node.gate import Caller
from handbook.node.governance import KEYS
from handbook.node.methods import run
from handbook.node.node import Node

ADMIN = Caller("127.0.0.1", b"Bearer root")


@pytest.fixture(autouse=True)
def admin_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secrets").mkdir()
    Path("secrets/admin.token").write_text("root\n")


def ask(node: Node, method: str, params: Any = None, caller: Caller = ADMIN) -> Any:
    """The result, or the error's code and message; None for a dropped connection."""
    body = json.dumps({"method": method, "params": params}).encode()
    answer = Desk(node, "rpc", run).call(body, False, caller=caller)
    node.commit()
    if answer.data is None:
        return None
    envelope = json.loads(answer.data.partition(b"\r\n\r\n")[2])
    return envelope["result"] if "result" in envelope else (envelope["error"]["code"], envelope["error"]["message"])


PROPOSAL = {"proposer": "p", "key": "TreasuryPercent", "new_value": 10, "max": 100, "epoch": 1, "vote_deadline": 5}
LISTED = {
    "activation_epoch": None,
    "created_epoch": 1,
    "deps": [],
    "id": 0,
    "key": "TreasuryPercent",
    "max": 100,
    "min": 0,
    "new_value": 10,
    "proposer": "p",
    "status": "Open",
    "vote_deadline_epoch": 5,
}


def test_proposals_are_listed_as_the_node_lists_them_and_survive_a_restart(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert [] == ask(node, "gov_list")
        assert {"id": 0} == ask(node, "gov_propose", {**PROPOSAL, "deps": [7]}), "gov_propose reads no deps"
        assert {"id": 1} == ask(node, "submit_proposal", {**PROPOSAL, "deps": [0, "x", -1]})
        assert {"ok": True} == ask(node, "gov_vote", {"voter": "v", "epoch": 4})
        assert {"ok": True} == ask(node, "vote_proposal", {"voter": "v", "choice": "maybe"})
        assert {"ok": True} == ask(node, "vote_proposal", {"choice": "no"})
        assert [LISTED, {**LISTED, "id": 1, "deps": [0]}] == ask(node, "gov_list")
    with fresh_node(tmp_path) as node:
        assert [LISTED, {**LISTED, "id": 1, "deps": [0]}] == ask(node, "gov_list")
        assert {0: {"v": "abstain", "": "no"}} == node.state.votes
        assert {"id": 2} == ask(node, "gov_propose", {"key": "KalmanRLong"})
        assert 0 == ask(node, "gov_params", {"epoch": 9})["params"]["treasury_percent"]


REFUSED: list[tuple[str, Any, tuple[int, str]]] = [
    ("gov_propose", None, (-32060, "bad key")),
    ("gov_propose", [], (-32060, "bad key")),
    ("gov_propose", {**PROPOSAL, "key": "treasury_percent"}, (-32060, "bad key")),
    ("gov_propose", {**PROPOSAL, "new_value": 101}, (-32061, "submit failed")),
    ("gov_propose", {**PROPOSAL, "new_value": -1}, (-32061, "submit failed")),
    ("submit_proposal", {**PROPOSAL, "deps": [2]}, (-32061, "submit failed")),
    ("gov_vote", {"proposal_id": 9}, (-32062, "vote failed")),
    ("gov_vote", {"epoch": 5}, (-32062, "vote failed")),
    ("vote_proposal", {"proposal_id": 1, "epoch": 99}, (-32070, "dependency not active")),
    ("gov_rollback_last", {}, (-32064, "rollback failed")),
    ("gov_rollback", {"id": 0}, (-32067, "rollback failed")),
    ("governor.snapshot", {}, (-32602, "epoch required")),
    ("governor.snapshot", {"epoch": "1"}, (-32602, "epoch required")),
]


def test_each_refusal_has_the_nodes_code_and_text_and_changes_nothing(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        ask(node, "gov_propose", PROPOSAL)
        ask(node, "submit_proposal", {**PROPOSAL, "deps": [0]})
        before = node.log.seq
        assert [expected for _, _, expected in REFUSED] == [ask(node, method, params) for method, params, _ in REFUSED]
        assert before == node.log.seq


def test_all_seventeen_keys_are_accepted(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert [{"id": n} for n in range(17)] == [ask(node, "gov_propose", {"key": key}) for key in sorted(KEYS)]


def test_telemetry_is_set_in_bounds_and_shown(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert {"compaction_secs": 60, "sample_rate_ppm": 1_000_000, "status": "ok"} == ask(node, "telemetry.configure")
        asked = [
            ({"sample_rate": 0.25, "compaction_secs": 5}, 250_000),
            ({"sample_rate": 7}, 1_000_000),
            ({"sample_rate": -1}, 0),
        ]
        for params, ppm in asked:
            assert {"compaction_secs": 5, "sample_rate_ppm": ppm, "status": "ok"} == ask(
                node, "telemetry.configure", params
            )


def test_one_question_to_an_empty_chain_silences_all_that_want_a_clean_lock(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert [] == ask(node, "light.headers") and {"Summary": {"jurisdiction": None}} == ask(
            node, "jurisdiction.status"
        )
        assert None is ask(node, "light.latest_header")
        node.record(ev.HeightSet(3))
        for method in ("light.headers", "light.latest_header", "jurisdiction.status"):
            assert None is ask(node, method), method
        assert {"difficulty": 1} == ask(node, "consensus.difficulty")


def test_headers_are_listed_from_start_and_never_too_many(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        node.record(ev.HeightSet(20_000_000))
        latest = ask(node, "light.latest_header")
        assert [latest] == ask(node, "light.headers", {"start": 20_000_000})
        assert list(range(1, 201)) == [header["height"] for header in ask(node, "light.headers")]
        assert 10_000 == len(ask(node, "light.headers", {"limit": 2**64 - 1}))
        assert [] == ask(node, "light.headers", {"limit": 0}) == ask(node, "light.headers", {"start": 2**64 - 1})


def test_network_methods_answer_without_peers(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert [] == ask(node, "net.peer_stats_all", {"offset": 0})
        assert (-32601, "method not found") == ask(node, "net.peer_stats_all", caller=Caller("10.0.0.1"))
        status = ask(node, "net.overlay_status")
        assert (0, "inhouse", 0) == (status["active_peers"], status["backend"], status["persisted_peers"])
        assert 0 == ask(node, "compute_market.stats")["industrial_backlog"]
