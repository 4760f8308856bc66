"""Whatever is called, in whatever order: what must hold of the node holds, and no params are more than it can take."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from node_process import ask, everything, fresh_node, payload, small_shelves  # noqa: F401  # a fixture

from handbook.node import control, members
from handbook.node import events as ev
from handbook.node.contract import SNIPPETS
from handbook.node.gate import Caller
from handbook.node.log import encode_state
from handbook.node.market_state import MAX_CREDITS
from handbook.node.node import Node
from handbook.node.readings import Reading, digest
from handbook.node.state import MAX_RECORDS, MAX_SNAPSHOTS, status_name

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()
IDS = st.integers(1, 6)
BUYERS = st.sampled_from(["alice", "bob"])


def mock(node: Node, method: str, params: dict[str, Any]) -> dict[str, Any]:
    members.check(method, params)
    result = control.METHODS[method](node, params)
    node.commit()
    return result


class Model:
    """What the machine knows without asking: ids, coins, energy, and who was paid."""

    def __init__(self) -> None:
        self.last_id = 0
        self.coins = 0
        self.intents: dict[str, int] = {}
        self.paid: Counter[int] = Counter()
        self.credited: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.nonce = 0


class Machine(RuleBasedStateMachine):
    """One node in this process. Reverts take the model back as well."""

    keep_all = False

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.open = self.stack.enter_context(ExitStack())
        self.model = Model()
        self.kept: list[tuple[int, bytes, Model]] = []
        self.read = 0

    @initialize(coins=st.integers(0, 60_000))
    def start(self, coins: int) -> None:
        self.node = self.open.enter_context(
            fresh_node(self.directory, treasury_balance=1500, min_fee_per_byte=1, keep_all=self.keep_all)
        )
        self.coins("treasury", coins)
        self.node.start_executor("manual")
        self.mine(480)
        self.provider(10_000)
        mock(self.node, "mock.energy", {"provider_id": "energy-0x00000000", "public_key_hex": PUBLIC})

    def open_node(self, **flags: Any) -> None:
        flags |= {"min_fee_per_byte": 1, "keep_all": self.keep_all}
        self.node = self.open.enter_context(fresh_node(self.directory, **flags))

    def teardown(self) -> None:
        if hasattr(self, "node"):
            self.replay()
        self.stack.close()

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """The result, or None for a refusal; a refusal changes nothing but what its method says."""
        answer = ask(self.node, method, params)
        assert answer.get("error", {}).get("code") != -32603, answer
        return answer.get("result")

    # --- treasury

    @rule(amount=st.integers(1, 900), deps=st.lists(IDS, max_size=2))
    def submit(self, amount: int, deps: list[int]) -> None:
        result = self.call("gov.treasury.submit_disbursement", payload(amount, deps=deps))
        if result:
            assert result["id"] == self.model.last_id + 1, "an id was given twice, or left out"
            self.model.last_id = result["id"]

    @rule(amount=st.integers(1, 300))
    def due(self, amount: int) -> None:
        """A disbursement that the executor pays in its next tick, if nothing is in its way."""
        self.submit(amount, [])
        for epoch in (1, 2, 3):
            self.queue(self.model.last_id, epoch)

    @rule(amount=st.integers(1, 300))
    def pay(self, amount: int) -> None:
        self.due(amount)
        self.tick(2)
        self.mine(1)

    @rule(kwh=st.integers(1, 60), which=st.integers(0, 9))
    def deliver(self, kwh: int, which: int) -> None:
        self.reading(kwh, "")
        if self.node.state.energy.credits:
            self.settle(50, which, "alice")

    @rule(id_=IDS, epoch=st.integers(0, 4))
    def queue(self, id_: int, epoch: int) -> None:
        self.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})

    @rule(id_=IDS)
    def execute(self, id_: int) -> None:
        self.call("gov.treasury.execute_disbursement", {"id": id_, "tx_hash": "", "receipts": []})

    @rule(id_=IDS)
    def roll_back(self, id_: int) -> None:
        self.call("gov.treasury.rollback_disbursement", {"id": id_, "reason": "property"})

    @rule(count=st.integers(1, 3))
    def tick(self, count: int) -> None:
        mock(self.node, "mock.tick", {"count": count})

    @rule(amount=st.integers(1, 500))
    def accrue(self, amount: int) -> None:
        mock(self.node, "mock.fund", {"counter": amount})

    @rule(account=st.sampled_from(["treasury", "alice"]), amount=st.integers(0, 3000))
    def coins(self, account: str, amount: int) -> None:
        mock(self.node, "mock.fund", {"account": account, "amount": amount})
        self.model.coins += amount

    @rule(blocks=st.sampled_from([1, 1, 2, 120]))
    def mine(self, blocks: int) -> None:
        fees = sum(payment.fee for payment in self.node.state.mempool)
        mock(self.node, "mock.mine", {"blocks": blocks})
        self.model.coins -= fees
        assert not self.node.state.mempool and not self.node.state.energy.receipts

    @rule(seconds=st.integers(0, 200))
    def later(self, seconds: int) -> None:
        mock(self.node, "mock.clock", {"advance": seconds})

    @rule(name=st.sampled_from(["node-a", "node-b"]))
    def executor(self, name: str) -> None:
        mock(self.node, "mock.executor", {"mode": "manual", "id": name})

    # --- energy

    @rule(stake=st.integers(0, 10_000))
    def provider(self, stake: int) -> None:
        number = self.node.state.energy.registered
        terms = {"capacity_kwh": 500, "jurisdiction": "US_CA", "meter_address": f"meter-{number}", "price_per_kwh": 3}
        self.call("energy.register_provider", terms | {"stake": stake})

    @rule(kwh=st.integers(0, 60), wrong=st.sampled_from(["", "", "", "", "replayed", "forged"]))
    def reading(self, kwh: int, wrong: str) -> None:
        replayed, forged = wrong == "replayed", wrong == "forged"
        provider, meter = "energy-0x00000000", self.node.state.energy.meters.get("energy-0x00000000")
        self.model.nonce += 0 if replayed else 1
        total, at = (meter.total_kwh if meter else 0) + kwh, self.node.now()
        unsigned = Reading(provider, "meter-0", total, at, self.model.nonce, b"")
        signature = KEY.sign(digest(unsigned))
        if forged:
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        given = {"provider_id": provider, "meter_address": "meter-0", "kwh_reading": total, "timestamp": at}
        result = self.call("energy.submit_reading", given | {"nonce": self.model.nonce, "signature": signature.hex()})
        if result:
            assert not forged
            self.model.credited[provider] += result["amount_kwh"]

    @precondition(lambda self: self.node.state.energy.credits)
    @rule(percent=st.sampled_from([0, 10, 50, 50, 100, 150]), which=st.integers(0, 9), buyer=BUYERS)
    def settle(self, percent: int, which: int, buyer: str) -> None:
        hashes = list(self.node.state.energy.credits)
        hash_ = hashes[which % len(hashes)]
        credit = self.node.state.energy.credits[hash_]
        provider, kwh = credit["provider"], credit["amount_kwh"] * percent // 100
        params = {"provider_id": provider, "kwh_consumed": kwh, "meter_hash": hash_, "buyer": buyer}
        if self.call("energy.settle", params):
            self.model.settled[provider] += kwh

    @precondition(lambda self: self.node.state.energy.credits)
    @rule(which=st.integers(0, 9), resolve=IDS)
    def dispute(self, which: int, resolve: int) -> None:
        hashes = list(self.node.state.energy.credits)
        last = self.node.state.energy.last_dispute
        result = self.call("energy.flag_dispute", {"meter_hash": hashes[which % len(hashes)], "reason": "property"})
        assert self.node.state.energy.last_dispute == last + bool(result)
        self.call("energy.resolve_dispute", {"dispute_id": resolve})

    @rule(quorum=st.sampled_from([0, 0, 50_000]), expiry=st.sampled_from([0, 0, 3]), slashing=st.integers(0, 10_000))
    def rules(self, quorum: int, expiry: int, slashing: int) -> None:
        named = {"quorum_threshold_ppm": quorum, "expiry_blocks": expiry, "slashing_rate_bps": slashing}
        mock(self.node, "mock.energy", named)

    # --- machine

    @rule()
    def snapshot(self) -> None:
        if len(self.kept) < 5:
            id_ = mock(self.node, "mock.snapshot", {})["id"]
            assert id_ not in [kept[0] for kept in self.kept], "a snapshot's id was given twice"
            self.kept.append((id_, everything(self.node), deepcopy(self.model)))

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 4))
    def revert(self, which: int) -> None:
        id_, data, model = self.kept[which % len(self.kept)]
        self.look()
        mock(self.node, "mock.revert", {"id": id_})
        self.read = self.node.log.seq
        self.model = deepcopy(model)
        assert everything(self.node) == data

    @rule()
    def restart(self) -> None:
        before = everything(self.node)
        self.open.pop_all().close()
        self.node = self.open.enter_context(
            fresh_node(self.directory, clock=None, min_fee_per_byte=1, keep_all=self.keep_all)
        )
        assert everything(self.node) == before
        self.node.start_executor("manual")

    @rule()
    def replay(self) -> None:
        before = everything(self.node)
        self.node.state = self.node.log.reload()
        assert everything(self.node) == before

    @rule()
    def lose_a_commit(self) -> None:
        """A refused commit takes its writes with it and nothing else."""
        before = everything(self.node)
        self.node.record(ev.BalanceMoved("Accrual", 1, None, self.node.now()))
        self.node.rebuild()
        assert everything(self.node) == before

    # --- what holds

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "node"):
            return
        state = self.node.state
        self.look()
        history = list(state.snapshots.values())
        assert len(history) < MAX_SNAPSHOTS and len(state.records) < MAX_RECORDS, "the sums need the whole history"
        assert state.counter == sum(entry["delta"] for entry in history) >= 0
        assert [entry["id"] for entry in history] == list(range(1, len(history) + 1))
        assert list(state.records) == list(range(1, state.last_id + 1)) and state.last_id == self.model.last_id
        counted = Counter(status_name(entry) for entry in state.records.values())
        assert {name: count for name, count in state.statuses.items() if count} == counted
        assert sum(account.balance for account in state.accounts.values()) == self.model.coins
        assert all(account.balance >= 0 for account in state.accounts.values())
        assert all(count == 1 for count in self.model.paid.values()), f"paid twice: {self.model.paid}"
        self._energy()

    def _energy(self) -> None:
        market = self.node.state.energy
        assert len(market.credits) < MAX_CREDITS
        left: Counter[str] = Counter()
        for credit in market.credits.values():
            left[credit["provider"]] += credit["amount_kwh"]
        for id_, provider in market.providers.items():
            assert provider["staked_balance"] >= 0 and provider["available_kwh"] >= 0
            assert provider["total_delivered_kwh"] == self.model.settled[id_]
            assert left[id_] == self.model.credited[id_] - self.model.settled[id_]

    def look(self) -> None:
        """Follows payments through the log: an intent names its disbursement, an admission its transaction."""
        rows = self.node.log.db.execute("SELECT seq, body FROM event WHERE seq > ? ORDER BY seq", (self.read,))
        for seq, body in rows.fetchall():
            self.read = seq
            event = ev.decode(body)
            if isinstance(event, ev.IntentStaged):
                self.model.intents[event.tx_hash] = event.disbursement
            elif isinstance(event, ev.Admitted):
                self.model.paid[self.model.intents[event.tx_hash]] += 1


class OnPages(Machine):
    """A node that keeps all, whose objects are on pages after a few calls."""

    keep_all = True
    paged = 0

    @invariant()
    def pages(self) -> None:
        if hasattr(self, "node"):
            type(self).paged += bool(self.node.state.records.pages)


SIZES = pytest.mark.parametrize(
    ("sequences", "steps"), [(50, 40), pytest.param(3000, 60, marks=pytest.mark.long)], ids=["short", "thousands"]
)


@SIZES
def test_the_invariants_hold_for_any_sequence_of_calls(sequences: int, steps: int) -> None:
    run(Machine, sequences, steps)


@SIZES
@pytest.mark.usefixtures("small_shelves")
def test_the_invariants_hold_for_a_node_that_keeps_all(sequences: int, steps: int) -> None:
    OnPages.paged = 0
    run(OnPages, sequences, steps)
    assert OnPages.paged > sequences * 4, "hardly anything was on a page"


def run(machine: type[Machine], sequences: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        machine,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- params of every kind

DOCUMENT = json.loads((SNIPPETS / "openrpc.json").read_text())
METHODS = DOCUMENT["methods"]
JUNK: list[Any] = [
    None, True, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.5, -0.0, 1e308, "", "x", "0", "\0",
    "é" * 40, "\ud7ff", "y" * 5000, "energy-0x00000000", "00" * 32, "zz" * 32, [], [[]], [1, "a", None], {}, {"a": {}},
    {"id": 1}, {"deps": [1]}, [{}] * 3,
]  # fmt: skip


def schemas() -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in (SNIPPETS / "schemas").glob("*.json")}


def value(chance: random.Random, schema: dict[str, Any], known: dict[str, Any], depth: int = 0) -> Any:
    """Something that often fits the schema, and often nearly."""
    if chance.random() < 0.12 or depth > 6:
        return chance.choice(JUNK)
    if "$ref" in schema:
        return value(chance, known.get(schema["$ref"].rpartition("/")[2].partition("#")[0], {}), known, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return value(chance, chance.choice(schema[union]), known, depth + 1)
    kind = schema.get("type", "string")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        names = [name for name in schema.get("properties", {}) if chance.random() < 0.85]
        return {name: value(chance, schema["properties"][name], known, depth + 1) for name in names}
    if kind == "array":
        return [value(chance, schema.get("items", {}), known, depth + 1) for _ in range(chance.randrange(4))]
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 2**64 - 1)
        some = chance.randrange(int(low), max(int(high), int(low) + 1))
        return chance.choice([low, high, low + 1, 1, 1, 2, 2, 3, 7, some])
    texts = ["a", "US_CA", "0" * 64, "energy-0x00000000", "draft", "alice"]
    return {"boolean": chance.random() < 0.5, "null": None}.get(kind, chance.choice(texts))


@pytest.mark.parametrize("times", [60, pytest.param(3000, marks=pytest.mark.long)])
def test_any_params_get_a_result_or_an_error_that_the_method_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """And never -32603, which says that the mock failed; what was stored is replayed alike."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin.token").write_text("token")
    chance, known = random.Random(23), schemas()
    answered: dict[str, set[int | None]] = {}
    with fresh_node(tmp_path, treasury_balance=10**6) as node:
        mock(node, "mock.mine", {})
        ask(node, "energy.register_provider", {"capacity_kwh": 9, "jurisdiction": "US_CA", "meter_address": "m",
                                               "price_per_kwh": 3, "stake": 5000})  # fmt: skip
        for _ in range(3):
            ask(node, "gov.treasury.submit_disbursement", payload(5))
        caller = Caller("127.0.0.1", b"Bearer token")
        for _ in range(times):
            for method in METHODS:
                name = method["name"]
                params = {param["name"]: value(chance, param["schema"], known) for param in method["params"]
                          if chance.random() < 0.9}  # fmt: skip
                given = params if chance.random() < 0.9 else chance.choice(JUNK)
                answer = ask(node, name, given, caller)
                code = answer["error"]["code"] if "error" in answer else None
                declared = {error["code"] for error in method["errors"]} | {None, -32601, -32700}
                assert code in declared, f"{name} {json.dumps(given)[:300]}: {answer}"
                answered.setdefault(name, set()).add(code)
        assert encode_state(node.log.reload()) == encode_state(node.state)
    assert len(answered) == len(METHODS) >= 51
    assert sum(codes != {None} for codes in answered.values()) >= 20, "the params are all too good"
    assert sum(None in codes for codes in answered.values()) >= 35, "the params are all too bad"
