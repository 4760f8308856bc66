"""Hazards of the energy market in the ledger, each shown on the mock without a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, ask, fresh_node
from shown import shows
from test_node_energy import ID, NO_HASH, OTHER, RECORDED, TERMS, configure, credit, refused, rehearse, settle, signed

from handbook.node import events as ev
from handbook.node.config import EnergyRates
from handbook.node.exposition import render
from handbook.node.gate import Caller
from handbook.node.node import Node


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Two providers; the first has a key."""
    with fresh_node(tmp_path) as node:
        ask(node, "energy.register_provider", TERMS)
        ask(node, "energy.register_provider", TERMS | {"meter_address": "meter-2"})
        configure(node, (ID, RECORDED["public_key_hex"]))
        yield node


def market(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = ask(node, "energy.market_state", {})["result"]
    return found


@shows("TB-076")
def test_with_the_default_limits_nothing_is_settled_or_registered(tmp_path: Path) -> None:
    with fresh_node(tmp_path, energy_rates=EnergyRates()) as node:
        for method in ("settle", "register_provider"):
            assert refused(node, method, {}) == (-32001, "rate limited")
            assert refused(node, method, {}) == (-32002, "banned")


@shows("TB-077", "TB-089")
def test_one_token_asks_everybody_and_no_metric_counts_the_refusals(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "result" in ask(node, "energy.market_state", {}, Caller("10.0.0.9"))
    monkeypatch.setenv("TB_ENERGY_ADMIN_TOKEN", "secret")
    with fresh_node(tmp_path / "own") as own:
        for method in ("market_state", "submit_reading", "settle"):
            assert refused(own, method, {}) == (-33009, "unauthorized")
        asked = ask(own, "energy.submit_reading", {}, Caller("127.0.0.1", b"Bearer secret"))
        assert asked["error"]["code"] == -32602
        for family in ("energy_reading_reject_total", "oracle_submission_errors_total"):
            assert family not in render(own)


@shows("TB-078", "TB-081")
def test_a_settlement_moves_no_money_and_its_receipt_goes_with_the_block(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    before = node.state.counter
    receipt = ask(node, "energy.settle", settle(10, hash_) | {"buyer": "buyer"})["result"]
    assert receipt["price_paid"] == 30 and node.state.counter == before + receipt["treasury_fee"]
    for account in ("buyer", ID, "anonymous"):
        assert ask(node, "balance", {"address": account})["result"] == {"amount": 0}
    assert ask(node, "energy.receipts", {})["result"]["total"] == 1
    node.record(ev.Mined(1))
    assert ask(node, "energy.receipts", {})["result"]["total"] == 0


@shows("TB-079")
def test_any_provider_settles_anybodys_credit(node: Node) -> None:
    receipt = ask(node, "energy.settle", settle(40, credit(node, 40, 1), OTHER))["result"]
    assert receipt["seller"] == OTHER and market(node)["credits"] == []


@shows("TB-080")
def test_what_was_sold_never_comes_back(node: Node) -> None:
    ask(node, "energy.settle", settle(1000, credit(node, 1000, 1)))
    node.record(ev.Mined(1000))
    ask(node, "energy.update_provider", {"provider_id": ID, "capacity_kwh": 9000})
    code, message = refused(node, "settle", settle(1, credit(node, 1001, 2)))
    assert (code, "insufficient capacity" in message) == (-33006, True)


@shows("TB-082")
def test_a_resolved_dispute_changes_nothing(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    before = {name: market(node)[name] for name in ("credits", "providers", "receipts")}
    for number in (1, 2):
        flagged = {"meter_hash": hash_, "reason": "wrong"}
        assert ask(node, "energy.flag_dispute", flagged)["result"]["status"] == "open"
        ask(node, "energy.resolve_dispute", {"dispute_id": number, "resolution_note": "refund"})
    assert before == {name: market(node)[name] for name in before}
    ask(node, "energy.flag_dispute", flagged)
    assert ask(node, "energy.settle", settle(1, hash_))["result"]["kwh_delivered"] == 1


@shows("TB-083")
def test_credits_never_expire(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    assert (market(node)["governance"]["oracle_timeout_blocks"], market(node)["governance"]["expiry_blocks"]) == (0, 0)
    node.record(ev.Mined(10_000))
    assert "result" in ask(node, "energy.settle", settle(1, hash_))


@shows("TB-084", "TB-088")
def test_failed_settlements_are_slashed_again_on_paper(node: Node) -> None:
    rehearse(node, {"slashing_rate_bps": 1000, "quorum_threshold_ppm": 500_000})
    hash_ = credit(node, 100, 1)
    before = node.state.counter
    for _ in range(2):
        assert refused(node, "settle", settle(10, hash_))[0] == -33004
        assert refused(node, "settle", settle(10, NO_HASH))[0] == -33005
    slashes = ask(node, "energy.slashes", {})["result"]["slashes"]
    assert [slash["amount"] for slash in slashes if slash["reason"] == "quorum"] == [3, 3]
    assert node.state.counter == before + 6
    provider = market(node)["providers"][0]
    assert (provider["staked_balance"], provider["reputation_score"]) == (5000, 1.0)
    rehearse(node, {"quorum_threshold_ppm": 0})
    assert ask(node, "energy.settle", settle(10, hash_))["result"]["slash_applied"] == 3
    assert market(node)["providers"][0]["staked_balance"] == 4997


@shows("TB-085")
def test_a_reading_without_a_registered_key_is_refused(node: Node) -> None:
    reading = signed(100, 1, NEW_YEAR, OTHER, "meter-2")
    assert refused(node, "submit_reading", reading)[0] == -33001
    configure(node, (OTHER, "not a key"), (ID, RECORDED["public_key_hex"]))
    assert refused(node, "submit_reading", signed(100, 1, NEW_YEAR))[0] == -33001, "the first bad entry ended it"


@shows("TB-108")
def test_energy_metrics_are_not_what_their_names_say(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    text = render(node)
    for name in ("provider", "pending_credits", "receipt", "active_disputes"):
        assert f"# TYPE energy_{name}_total gauge" in text
    assert "\nenergy_pending_credits_total 1\n" in text, "one credit of 100 kWh"
    refused(node, "settle", settle(1, NO_HASH))
    assert f'energy_slashing_total{{provider="{ID}",reason="conflict"}} 1' in render(node)
    ask(node, "energy.flag_dispute", {"meter_hash": hash_, "reason": ""})
    ask(node, "energy.resolve_dispute", {"dispute_id": 1})
    assert 'energy_dispute_total{state="open"} 1' in render(node), "none is open any more"


@shows("TB-133")
def test_odd_members_of_a_page_mean_the_default(node: Node) -> None:
    credit(node, 100, 1)
    for odd in ({"page": "2"}, {"page": -1}, {"page_size": "x"}):
        found = ask(node, "energy.credits", odd)["result"]
        assert (found["page"], found["page_size"], len(found["credits"])) == (0, 25, 1)
    past = ask(node, "energy.credits", {"page": 7, "page_size": 999})["result"]
    assert (past["page"], past["page_size"], past["credits"], past["total"]) == (7, 250, [], 1)


@shows("TB-135")
def test_nonce_and_clock_are_checked_before_the_signature(node: Node) -> None:
    credit(node, 100, 5)
    unsigned = signed(200, 5, NEW_YEAR + 9) | {"signature": "00" * 64}
    assert refused(node, "submit_reading", unsigned)[0] == -33007
    assert refused(node, "submit_reading", unsigned | {"nonce": 6})[0] == -33001
    assert refused(node, "submit_reading", unsigned | {"timestamp": NEW_YEAR + 301})[0] == -33008
    other = signed(200, 7, NEW_YEAR + 9, meter="meter-9")
    assert refused(node, "submit_reading", other) == (-33006, "meter address already claimed: meter-9")
