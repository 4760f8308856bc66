"""Chain time passes on command, on a timer or with each payment; how is part of the state."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from node_process import NEW_YEAR, NodeProcess, ask, fresh_node, payload, timelocked

from handbook.node import control
from handbook.node import events as ev
from handbook.node.chain import TREASURY
from handbook.node.failure import RpcError
from handbook.node.gate import Caller
from handbook.node.log import encode_state
from handbook.node.miner import MODES
from handbook.node.node import Node

MANUAL = {"blocks": 0, "interval": 0, "mode": "manual"}
AUTO = MANUAL | {"mode": "auto"}


def do(node: Node, method: str, **params: Any) -> Any:
    result = control.run(node, method, params, Caller())
    node.commit()
    return result


def matured(node: Node) -> int:
    do(node, "mock.fund", account=TREASURY, amount=50_000)
    do(node, "mock.epoch", set=4)
    do(node, "mock.executor", mode="manual")
    return timelocked(node)


def until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def test_a_node_mines_on_command_unless_told_otherwise(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert do(node, "mock.mining") == MANUAL | {"height": 0}
        matured(node)
        do(node, "mock.tick")
        assert (len(node.state.mempool), node.state.height) == (1, 480)
        assert do(node, "mock.mine")["transactions"] == 1


def test_an_executors_payment_is_mined_at_once_in_auto(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        assert do(node, "mock.mining", mode="auto") == AUTO | {"height": 0}
        id_ = matured(node)
        matured(node)
        assert do(node, "mock.tick") == {"alive": True, "outcomes": ["success"]}
        assert (node.state.mempool, node.state.height) == ([], 482), "a block for each payment"
        assert node.state.accounts[TREASURY].nonce == 2 and node.state.accounts["tb1qx"].balance == 200
        paid = ask(node, "gov.treasury.disbursement", {"id": id_})["result"]["disbursement"]["disbursement"]["status"]
        assert "Executed" in paid
        assert encode_state(node.log.reload()) == encode_state(node.state)


def test_what_waits_is_mined_when_the_mode_becomes_auto(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        matured(node)
        do(node, "mock.tick")
        assert do(node, "mock.mining", mode="auto") == AUTO | {"height": 481}
        assert node.state.mempool == []


def test_the_mode_comes_back_with_a_snapshot_and_goes_with_a_reset(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        do(node, "mock.mining", mode="auto")
        id_ = do(node, "mock.snapshot")["id"]
        do(node, "mock.mining", mode="timer", interval=3600, blocks=120)
        do(node, "mock.revert", id=id_)
        assert do(node, "mock.mining") == AUTO | {"height": 0}
        do(node, "mock.reset")
        assert do(node, "mock.mining") == MANUAL | {"height": 0}


def test_a_refused_commit_takes_the_mode_back(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        node.record(ev.MiningSet("auto"))
        node.rebuild()
        assert do(node, "mock.mining") == MANUAL | {"height": 0}


def test_asking_for_what_is_already_so_changes_nothing(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        before = node.log.seq
        for params in ({}, {"mode": "manual"}, {"interval": 0}):
            do(node, "mock.mining", **params)
        assert node.log.seq == before


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "timer"}, "interval: expected an integer from 1 to 86400 beside mode timer, got none"),
        ({"mode": "auto", "interval": 5}, "interval: expected no such member beside mode auto, got 5"),
        ({"blocks": 5}, "blocks: expected no such member beside mode manual, got 5"),
        ({"mode": "automine"}, f'mode: expected one of {", ".join(MODES)}, got "automine"'),
    ],
)
def test_params_that_do_not_go_together(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with fresh_node(tmp_path) as node, pytest.raises(RpcError) as refused:
        do(node, "mock.mining", **params)
    assert str(refused.value) == message


def test_a_timer_outlives_a_kill_until_it_is_stopped(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, clock=NEW_YEAR) as own:
        timer = {"blocks": 120, "interval": 1, "mode": "timer"}
        assert own.control.call("mock.mining", {"interval": 1, "blocks": 120}) == timer | {"height": 0}
        assert until(lambda: own.control.call("mock.status")["epoch"] >= 2)
        own.kill()
    with NodeProcess(tmp_path) as own:
        found = own.control.call("mock.mining")
        assert found["mode"] == "timer" and found["height"] >= 240
        assert until(lambda: own.control.call("mock.status")["height"] > found["height"])
        own.control.call("mock.mining", {"interval": 0})
        stopped = own.control.call("mock.status")["height"]
        time.sleep(1.3)
        assert own.control.call("mock.status")["height"] == stopped and stopped % 120 == 0
        own.control.call("mock.mining", {"interval": 1})
        own.control.call("mock.reset")
        time.sleep(1.3)
        assert own.control.call("mock.status")["height"] == 0


def test_auto_outlives_a_kill_and_a_gossiped_payment_is_mined(tmp_path: Path) -> None:
    """One node admits payments and mines on command; its peer mines whatever it hears of."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    env = {"TB_MIN_FEE_PER_BYTE_CONSUMER": "0"}
    with NodeProcess(tmp_path / "b", env, clock=NEW_YEAR) as first:
        first.control.call("mock.mining", {"mode": "auto"})
        first.kill()
    with (
        NodeProcess(tmp_path / "a", env, treasury_balance=1000, clock=NEW_YEAR) as payer,
        NodeProcess(tmp_path / "b", env) as miner,
    ):
        payer.control.call("mock.peers", {"peers": [miner.control.url]})
        payer.control.call("mock.fund", {"account": TREASURY, "amount": 50_000})
        payer.control.call("mock.epoch", {"set": 4})
        id_ = payer.rpc.call("gov.treasury.submit_disbursement", payload())["id"]
        for epoch in (1, 2, 3):
            payer.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
        assert until(lambda: miner.control.call("mock.status")["height"] == 480)
        payer.control.call("mock.executor", {"mode": "manual"})
        payer.control.call("mock.tick")
        for node in (miner, payer):
            assert until(lambda node=node: node.control.call("mock.status")["height"] == 481)
            assert until(lambda node=node: node.rpc.call("balance", {"address": "tb1qx"})["amount"] == 100)
        assert payer.rpc.call("mempool.stats")["size"] == 0
