"""Each deviation that the mock can show is shown: the contract without its fault, the build's behaviour with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from node_process import NEW_YEAR, NodeProcess, ask, fresh_node, payload

from handbook import facts
from handbook.control import Refused
from handbook.node.deviations import AT_START, BUILDS, SWITCHES
from handbook.node.exposition import UNSET, render
from handbook.node.faults import KINDS
from handbook.node.gate import Caller
from handbook.node.methods import run

SUBMIT = "gov.treasury.submit_disbursement"
LEDGER = yaml.safe_load((facts.SNIPPETS / "deviations.yml").read_text())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("deviations"), treasury_balance=1_000_000, clock=NEW_YEAR) as started:
        yield started


@pytest.fixture
def node(shared: NodeProcess) -> NodeProcess:
    shared.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
    return shared


def test_the_ledger_names_faults_that_exist_and_every_switch() -> None:
    named = {entry["fault"] for entry in LEDGER if entry["fault"]}
    assert named <= KINDS.keys() | AT_START
    assert SWITCHES.keys() <= named
    assert BUILDS["0ecc756a"] == SWITCHES.keys() | AT_START.keys()
    assert len(LEDGER) == 32 and sum(entry["fault"] is not None for entry in LEDGER) == 17


def test_a_switch_stands_until_it_is_cleared_and_is_shown(node: NodeProcess) -> None:
    assert node.control.call("mock.status")["deviations"] == []
    fault = node.control.call("mock.fault.add", {"fault": "treasury_unlisted"})
    assert node.control.call("mock.status")["deviations"] == ["treasury_unlisted"]
    for _ in range(2):
        with pytest.raises(Refused, match="-32601 method not found"):
            node.rpc.call("gov.treasury.balance")
    node.control.call("mock.fault.clear", {"id": fault["id"]})
    assert node.rpc.call("gov.treasury.balance")["balance"] == 1_000_000
    node.control.call("mock.fault.add", {"fault": "treasury_unlisted"})
    node.control.call("mock.reset")
    assert node.control.call("mock.status")["deviations"] == []


def test_aliases(node: NodeProcess) -> None:
    assert node.rpc.call("gov.treasury.list_disbursements", {"status": "draft"})["disbursements"] == []
    node.control.call("mock.fault.add", {"fault": "aliases_off"})
    with pytest.raises(Refused, match="method not found"):
        node.rpc.call("gov.treasury.list_disbursements")
    with pytest.raises(Refused, match="invalid params"):
        node.rpc.call("gov.treasury.disbursements", {"status": "draft"})


def test_a_lost_proposal_lets_the_executor_pay_what_nobody_approved(node: NodeProcess) -> None:
    def stored_and_ticked() -> tuple[bool, str]:
        node.control.call("mock.fund", {"account": "treasury", "amount": 50_000})
        node.control.call("mock.epoch", {"set": 4})
        node.control.call("mock.executor", {"mode": "manual"})
        id_ = node.rpc.call(SUBMIT, payload(100, deps=[7]))["id"]
        entry = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]
        assert entry["deps"] == ([] if entry["disbursement"]["proposal"] is None else [7])
        node.control.call("mock.tick")
        after = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]["disbursement"]
        return after["proposal"] is None, next(iter(after["status"]))

    assert stored_and_ticked() == (False, "Draft")
    node.control.call("mock.reset", {"treasury_balance": 1_000_000, "clock": NEW_YEAR})
    node.control.call("mock.fault.add", {"fault": "proposal_lost"})
    assert stored_and_ticked() == (True, "Executed")
    id_ = node.rpc.call(SUBMIT, payload(100))["id"]
    with pytest.raises(Refused, match="-32092 treasury storage error"):
        node.rpc.call("gov.treasury.queue_disbursement", {"id": id_})


def test_submissions_that_arrive_together_overwrite_each_other(tmp_path: Path) -> None:
    def submitted(switch: bool) -> tuple[list[int], int, int]:
        with fresh_node(tmp_path / str(switch)) as node:
            if switch:
                node.deviations.add("submits_overwritten")
            ids = [run(node, SUBMIT, payload(amount), Caller())["id"] for amount in (1, 2, 3)]
            node.commit()
            ids.append(run(node, SUBMIT, payload(4), Caller())["id"])
            node.commit()
            assert sum(node.state.statuses.values()) == len(node.state.records)
            return ids, len(node.state.records), node.state.last_snapshot

    (tmp_path / "True").mkdir()
    (tmp_path / "False").mkdir()
    assert submitted(False) == ([1, 2, 3, 4], 4, 5)
    assert submitted(True) == ([1, 1, 1, 2], 2, 5), "acknowledged thrice, stored once; a history entry each"


def test_metrics_that_the_build_never_sets(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        ask(node, SUBMIT, payload())
        assert all(f"# TYPE {name} " in render(node) for name in UNSET)
        node.deviations.add("metrics_unset")
        assert not any(name in render(node) for name in UNSET)


def test_energy_methods(tmp_path: Path) -> None:
    register = {"capacity_kwh": 1, "price_per_kwh": 1, "stake": 1000, "meter_address": "m", "jurisdiction": "US_CA"}
    env = {f"TB_RPC_ENERGY_{name}_TOKENS_PER_SEC": "1000" for name in ("READ", "SUBMIT", "SETTLE", "DISPUTE")}
    with NodeProcess(tmp_path, env) as own:
        assert own.rpc.call("energy.slashes", {})["total"] == 0
        own.control.call("mock.fault.add", {"fault": "energy_unlisted"})
        with pytest.raises(Refused, match="method not found"):
            own.rpc.call("energy.slashes", {})
        assert own.rpc.call("energy.register_provider", register)["provider_id"] == "energy-0x00000000"
        own.control.call("mock.fault.add", {"fault": "energy_rehearsal"})
        with pytest.raises(Refused, match=r"-33020 .* blocked: energy market in rehearsal"):
            own.rpc.call("energy.register_provider", {})


def test_a_build_has_all_of_them(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, build="0ecc756a") as own:
        status = own.control.call("mock.status")
        assert status["deviations"] == sorted(BUILDS["0ecc756a"])
        own.control.call("mock.reset")
        assert own.control.call("mock.status")["deviations"] == status["deviations"]
