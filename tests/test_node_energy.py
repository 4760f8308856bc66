"""The energy market: signed readings, every refusal, settlement, and what a block takes along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from node_process import NEW_YEAR, RECORDINGS, ask, fresh_node

from handbook.node import events as ev
from handbook.node import market, members, world
from handbook.node.exposition import render
from handbook.node.node import Node
from handbook.node.readings import Reading, digest, meter_hash

RECORDED = json.loads((RECORDINGS / "energy-signed-readings.json").read_text())
ID, OTHER = "energy-0x00000000", "energy-0x00000001"
NO_HASH = "00" * 32
TERMS = {"capacity_kwh": 1000, "jurisdiction": "US_CA", "meter_address": "meter-1", "price_per_kwh": 3, "stake": 5000}
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RECORDED["signing_key_seed_hex"]))


def reading_of(given: dict[str, Any]) -> Reading:
    numbers = (given["kwh_reading"], given["timestamp"], given["nonce"])
    return Reading(given["provider_id"], given["meter_address"], *numbers, bytes.fromhex(given["signature"]))


def signed(total: int, nonce: int, at: int, id_: str = ID, meter: str = "meter-1") -> dict[str, Any]:
    unsigned = Reading(id_, meter, total, at, nonce, b"")
    given = {"provider_id": id_, "meter_address": meter, "kwh_reading": total, "timestamp": at, "nonce": nonce}
    return given | {"signature": KEY.sign(digest(unsigned)).hex()}


def configure(node: Node, *entries: tuple[str, str]) -> None:
    text = "".join(f'[[energy.provider_keys]]\nprovider_id = "{i}"\npublic_key_hex = "{key}"\n' for i, key in entries)
    (node.config.data_dir / "default.toml").write_text(text)
    assert {"reloaded": True} == ask(node, "config.reload", {})["result"]


def refused(node: Node, method: str, params: Any) -> tuple[int, str]:
    error = ask(node, f"energy.{method}", params)["error"]
    return error["code"], error["message"]


def rehearse(node: Node, params: dict[str, Any]) -> None:
    members.check("mock.energy", params)
    world.energy(node, params)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """One provider with a key."""
    with fresh_node(tmp_path) as node:
        ask(node, "energy.register_provider", TERMS)
        configure(node, (ID, RECORDED["public_key_hex"]))
        yield node


def credit(node: Node, total: int, nonce: int) -> str:
    hash_: str = ask(node, "energy.submit_reading", signed(total, nonce, NEW_YEAR + nonce))["result"]["meter_hash"]
    return hash_


def settle(kwh: int, hash_: str, id_: str = ID) -> dict[str, Any]:
    return {"provider_id": id_, "kwh_consumed": kwh, "meter_hash": hash_}


def test_the_recorded_readings_have_their_digests_and_hashes() -> None:
    for vector in RECORDED["vectors"]:
        reading = reading_of(vector["reading"])
        assert vector["digest"] == digest(reading).hex()
        assert vector["expected_meter_hash"] == meter_hash(reading)
    assert 7 == len(RECORDED["vectors"])


def test_the_signed_readings_replay(tmp_path: Path) -> None:
    """The clock went on 3 s while it was recorded, before the first skewed reading."""
    with fresh_node(tmp_path, treasury_balance=None, clock=RECORDED["unix_time"]) as node:
        for call in RECORDED["calls"]:
            if call["method"] == "config.reload":
                configure(node, (ID, RECORDED["public_key_hex"]))
            if call["params"].get("nonce") == 5:
                node.record(ev.ClockSet(RECORDED["unix_time"] + 3, 0))
            assert call["answer"] == ask(node, call["method"], call["params"]), call
        node.commit()
        assert node.state == node.log.reload(), "the log gives the same state"
    assert 23 == len(RECORDED["calls"])


def test_every_refusal_of_a_reading(node: Node) -> None:
    assert (-32602, "parameters must be an object") == refused(node, "submit_reading", [])
    assert (-33006, "unknown provider x") == refused(node, "submit_reading", signed(1, 0, NEW_YEAR, id_="x"))
    late = refused(node, "submit_reading", signed(1, 0, NEW_YEAR - 301))
    assert (-33008, "timestamp skew 301s exceeds tolerance 300s") == late
    ask(node, "energy.register_provider", TERMS | {"meter_address": "meter-2"})
    unregistered = f"signature verification failed: provider {OTHER} not registered in verifier registry"
    assert (-33001, unregistered) == refused(node, "submit_reading", signed(1, 0, NEW_YEAR, OTHER, "meter-2"))
    forged = signed(1, 0, NEW_YEAR) | {"kwh_reading": 2}
    assert refused(node, "submit_reading", forged)[0] == -33001
    foreign = refused(node, "submit_reading", signed(1, 0, NEW_YEAR, meter="meter-9"))
    assert (-33006, "meter address already claimed: meter-9") == foreign
    first = ask(node, "energy.submit_reading", signed(5, 0, NEW_YEAR) | {"kwh_reading": 5.0, "nonce": 0.0})
    assert 5 == first["result"]["amount_kwh"], "the first reading counts from 0, nonce 0 is one, 5.0 is 5"
    assert (-33007, "nonce 0 already used for provider") == refused(node, "submit_reading", signed(9, 0, NEW_YEAR + 1))
    assert (-33003, f"reading timestamp regression for provider {ID}") == refused(
        node, "submit_reading", signed(9, 1, NEW_YEAR)
    )
    assert (-33003, f"reading totalized kWh decreased for provider {ID}") == refused(
        node, "submit_reading", signed(4, 1, NEW_YEAR + 1)
    )
    shown = render(node)
    for reason, count in {"stale_timestamp": 2, "invalid_reading": 2, "bad_signature": 2, "other": 2}.items():
        assert f'energy_reading_reject_total{{reason="{reason}"}} {count}\n' in shown
    assert "energy_readings_total 1\n" in shown and "oracle_latency_seconds_count 1\n" in shown


def test_missing_members_are_named_in_order(node: Node) -> None:
    full = {
        "register_provider": ["capacity_kwh", "price_per_kwh", "stake", "meter_address", "jurisdiction"],
        "submit_reading": ["provider_id", "meter_address", "kwh_reading", "timestamp", "nonce", "signature"],
        "settle": ["provider_id", "kwh_consumed", "meter_hash"],
        "flag_dispute": ["meter_hash", "reason"],
        "resolve_dispute": ["dispute_id"],
        "update_provider": ["provider_id"],
    }
    values = TERMS | signed(1, 1, NEW_YEAR) | {"kwh_consumed": 1, "meter_hash": NO_HASH, "reason": ""}
    for method, names in full.items():
        params: dict[str, Any] = {}
        for name in names:
            for wrong in ({}, {name: None}, {name: -1}):
                assert (-32602, f"missing or invalid '{name}'") == refused(node, method, params | wrong), method
            params[name] = values.get(name)


def test_a_block_takes_receipts_and_slashes_along(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    refused(node, "settle", settle(1, NO_HASH))
    assert 40 == ask(node, "energy.settle", settle(40, hash_))["result"]["kwh_delivered"]
    assert [1, 1] == [ask(node, f"energy.{name}", {})["result"]["total"] for name in ("receipts", "slashes")]
    node.record(ev.Mined(1))
    assert [0, 0] == [ask(node, f"energy.{name}", {})["result"]["total"] for name in ("receipts", "slashes")]
    ask(node, "energy.settle", settle(60, hash_))
    assert -33005 == refused(node, "settle", settle(1, hash_))[0], "used up"
    assert "id" in ask(node, "energy.flag_dispute", {"meter_hash": hash_, "reason": ""})["result"]
    ask(node, "energy.resolve_dispute", {"dispute_id": 1})
    node.record(ev.Mined(1))
    gone = refused(node, "flag_dispute", {"meter_hash": hash_, "reason": ""})
    assert (-33005, f"meter hash {market.listed(hash_)} not tracked for disputes") == gone
    provider = ask(node, "energy.market_state")["result"]["providers"][0]
    assert (900, 100, 5000) == tuple(provider[n] for n in ("available_kwh", "total_delivered_kwh", "staked_balance"))


def test_one_provider_settles_anothers_credit(node: Node) -> None:
    ask(node, "energy.register_provider", TERMS | {"meter_address": "meter-2"})
    receipt = ask(node, "energy.settle", settle(10, credit(node, 100, 1), OTHER))["result"]
    assert (OTHER, 30) == (receipt["seller"], receipt["price_paid"])
    assert [90] == [c["amount_kwh"] for c in ask(node, "energy.credits", {"provider_id": ID})["result"]["credits"]]
    assert 0 == ask(node, "energy.credits", {"provider_id": OTHER})["result"]["total"]


def test_batch_mode_and_expiry(node: Node) -> None:
    rehearse(node, {"mode": "batch", "oracle_timeout_blocks": 10, "slashing_rate_bps": 1000})
    hash_ = credit(node, 100, 1)
    assert "result" in ask(node, "energy.settle", settle(1, hash_)), "age 0"
    node.record(ev.Mined(3))
    gated = (-33005, "settlement gated by batch policy until block 10")
    assert gated == refused(node, "settle", settle(1, hash_))
    node.record(ev.Mined(7))
    assert "result" in ask(node, "energy.settle", settle(1, hash_)), "age 10"
    node.record(ev.Mined(10))
    expired = (-33005, f"meter reading {market.listed(hash_)} expired")
    counter = node.state.counter
    for _ in range(3):
        assert expired == refused(node, "settle", settle(50, hash_))
    assert [15, 15, 15] == [slash["amount"] for slash in node.state.energy.slashes]
    assert counter + 45 == node.state.counter
    assert {"expiry"} == {slash["reason"] for slash in node.state.energy.slashes}


def test_a_settlement_below_quorum_is_slashed_every_time(node: Node) -> None:
    rehearse(node, {"quorum_threshold_ppm": 500_000, "slashing_rate_bps": 10_000})
    hash_, before = credit(node, 600, 1), node.state.counter
    short = (-33004, "settlement below quorum: required 500000 ppm, actual 499000 ppm")
    assert [short, short] == [refused(node, "settle", settle(499, hash_)) for _ in range(2)]
    assert before + 2 * 499 * 3 == node.state.counter
    assert 5000 == node.state.energy.providers[ID]["staked_balance"], "a failed settlement leaves the stake"
    receipt = ask(node, "energy.settle", settle(500, hash_))["result"]
    assert 1500 == receipt["slash_applied"] and 3500 == node.state.energy.providers[ID]["staked_balance"]
    assert f'energy_slashing_total{{provider="{ID}",reason="quorum"}} 2\n' in render(node)
    node.commit()
    assert node.state == node.log.reload()


def test_the_fee_follows_load_and_hour(node: Node) -> None:
    at = {hour: market.treasury_fee_bps(node.state.energy, hour * 3600) for hour in (0, 7, 19)}
    assert {0: 121, 7: 100, 19: 146} == at
    node.record(ev.ProviderSet(node.state.energy.providers[ID] | {"available_kwh": 100}))
    assert 585 == market.treasury_fee_bps(node.state.energy, 19 * 3600)


def test_keys_are_read_at_a_reload_and_a_bad_one_ends_the_list(node: Node) -> None:
    key = RECORDED["public_key_hex"]
    configure(node, ("a", f" {key.upper()} "), ("b", "00"), ("c", key))
    assert {"a": key} == node.state.energy.keys, "the old are gone, those after the bad one are not read"
    for text in ("energy = [", "[energy]\nprovider_keys = 1", "[[energy.provider_keys]]\nprovider_id = 1"):
        (node.config.data_dir / "default.toml").write_text(text)
        assert {"reloaded": False} == ask(node, "config.reload")["result"]
    assert {"a": key} == node.state.energy.keys
    (node.config.data_dir / "default.toml").unlink()
    assert {"reloaded": True} == ask(node, "config.reload")["result"] and not node.state.energy.keys


def test_rehearsal_blocks_every_change_before_its_params(node: Node) -> None:
    rehearse(node, {"rehearsal": True})
    blocked = ("register_provider", "update_provider", "submit_reading", "settle", "flag_dispute", "resolve_dispute")
    for method in blocked:
        assert (-33020, f"energy.{method} blocked: energy market in rehearsal") == refused(node, method, [])
    assert "result" in ask(node, "energy.market_state")
    rehearse(node, {"rehearsal": False})
    assert -32602 == refused(node, "settle", {})[0]


def test_pages_read_what_does_not_fit_as_the_default(node: Node) -> None:
    for nonce in (1, 2, 3):
        credit(node, nonce, nonce)
        node.record(ev.Mined(1))
    page = ask(node, "energy.credits", {"page": "x", "page_size": -1})["result"]
    assert (0, 25, [2, 1, 0]) == (page["page"], page["page_size"], [c["timestamp"] for c in page["credits"]])
    page = ask(node, "energy.credits", {"page": 1.0, "page_size": 0})["result"]
    assert (1, 1, 3, [1]) == (page["page"], page["page_size"], page["total"], [c["timestamp"] for c in page["credits"]])
    huge = ask(node, "energy.credits", {"page": 2**64 - 1})["result"]
    assert [] == huge["credits"] and 3 == huge["total"]


def test_settlement_proposals_are_checked_and_change_nothing(node: Node) -> None:
    def propose(**more: Any) -> Any:
        answer = ask(node, "gov.energy_settlement", {"proposer": "p", "mode": "Real-Time"} | more)
        return answer.get("result") or (answer["error"]["code"], answer["error"]["message"])

    assert [{"id": 1}, {"id": 2}] == [propose(), propose(mode="BATCH", deps=[1])]
    invalid = (-32602, "invalid params")
    wrong: list[dict[str, Any]] = [{"deps": [-1]}, {"memo": 1}, {"mode": None}, {"expiry_blocks": "1"}]
    assert [invalid] * 4 == [propose(**more) for more in wrong]
    assert (-32071, "unknown energy settlement mode: x") == propose(mode="x")
    failed = (-32072, "energy settlement submission failed")
    assert [failed, failed] == [propose(rollback_window_epochs=0), propose(quorum_threshold_ppm=1_000_001)]
    assert [] == ask(node, "gov.energy_settlement_history")["result"]
    assert "real_time" == ask(node, "energy.market_state")["result"]["governance"]["mode"]


def test_amounts_at_the_end_of_their_range_stay_in_it(node: Node) -> None:
    most = 2**64 - 1
    ask(node, "energy.register_provider", dict.fromkeys(TERMS, most) | {"meter_address": "m", "jurisdiction": ""})
    configure(node, (OTHER, RECORDED["public_key_hex"]))
    given = signed(most, most, NEW_YEAR, OTHER, "m")
    hash_ = ask(node, "energy.submit_reading", given)["result"]["meter_hash"]
    assert most == ask(node, "energy.settle", settle(most, hash_, OTHER))["result"]["price_paid"]
    for _ in range(8):
        node.record(*market._accrual(node.state, most, NEW_YEAR))
    assert 2**63 - 1 == ask(node, "gov.treasury.balance")["result"]["balance"]
    node.commit()
    assert node.state == node.log.reload()


def test_the_stock_build_answers_as_recorded(tmp_path: Path) -> None:
    calls = [json.loads(line) for line in (RECORDINGS / "stock.jsonl").read_text().splitlines()]
    calls = [call for call in calls if call["scenario"] == "energy_reads_and_errors"]
    with fresh_node(tmp_path, build="0ecc756a", aliases=False) as node:
        for call in calls:
            assert call["answer"] == ask(node, call["method"], call["params"]), call
    assert 34 == len(calls)


def test_what_the_market_keeps_is_bounded(node: Node) -> None:
    hash_ = credit(node, 100, 1)
    slash = {"amount": 0, "block_height": 0, "meter_hash": hash_, "provider_id": ID, "reason": "quorum"}
    receipt = ask(node, "energy.settle", settle(0, hash_))["result"]
    dispute = ask(node, "energy.flag_dispute", {"meter_hash": hash_, "reason": ""})["result"]
    live = node.state.energy.credits[hash_]
    for n in range(20_000):
        node.record(
            ev.Slashed(slash),
            ev.Settled(receipt),
            ev.DisputeSet(dispute | {"id": n + 1}),
            ev.ReadingAccepted(live | {"meter_hash": f"{n:064x}"}, 1, NEW_YEAR, n),
        )
        node.state.energy.credits[hash_] = node.state.energy.credits.pop(hash_)
    kept = node.state.energy
    assert [4096, 4096, 4096, 16_384] == [
        len(found) for found in (kept.slashes, kept.receipts, kept.disputes, kept.credits)
    ]
