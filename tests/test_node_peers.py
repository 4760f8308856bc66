"""Mock nodes that share a chain: partition, healing, reorganisation, and what they do to payments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from node_process import NodeProcess, payload

from handbook.control import Refused


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProcess]]:
    """Three nodes that know each other; the first one's treasury holds coins."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(NodeProcess(tmp_path / name, clock=1_767_225_600, treasury_balance=1_000_000))
            for name in "abc"
        ]
        started[0].control.call("mock.fund", {"account": "treasury", "amount": 100_000})
        meet(started)
        in_step(started)
        yield started


def meet(nodes: list[NodeProcess]) -> None:
    addresses = [node.control.call("mock.peers")["name"] for node in nodes]
    for at, node in enumerate(nodes):
        node.control.call("mock.peers", {"peers": addresses[:at] + addresses[at + 1 :]})


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def in_step(nodes: list[NodeProcess]) -> None:
    def all_agree() -> bool:
        shown = [node.control.call("mock.peers") for node in nodes]
        peers = [peer["in_step"] for one in shown for peer in one["peers"]]
        return len({one["tip"] for one in shown}) == 1 and all(peers)

    until(all_agree, f"in step: {[node.control.call('mock.peers') for node in nodes]}")


def reach_epoch(nodes: list[NodeProcess], epoch: int) -> None:
    nodes[0].control.call("mock.epoch", {"set": epoch})
    in_step(nodes)


def coins(node: NodeProcess, account: str) -> int:
    return int(node.rpc.call("balance", {"address": account})["amount"])


def due(node: NodeProcess, destination: str = "tb1qpayee", amount: int = 1000) -> int:
    """A disbursement that the executor pays in its next tick."""
    body = payload(amount)
    body["payload"]["disbursement"]["destination"] = destination
    id_ = node.rpc.call("gov.treasury.submit_disbursement", body)["id"]
    for epoch in (1, 2, 3):
        node.rpc.call("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch})
    return int(id_)


def state(node: NodeProcess, id_: int) -> str:
    found = node.rpc.call("gov.treasury.disbursement", {"id": id_})["disbursement"]["disbursement"]["status"]
    return str(next(iter(found)))


def executor(node: NodeProcess, name: str) -> None:
    node.control.call("mock.executor", {"mode": "manual", "id": name})


def waiting(node: NodeProcess) -> int:
    return int(node.rpc.call("mempool.stats", {"lane": "consumer"})["size"])


def test_blocks_coins_and_payments_reach_every_node(nodes: list[NodeProcess]) -> None:
    a, _, c = nodes
    assert [coins(node, "treasury") for node in nodes] == [100_000] * 3
    reach_epoch(nodes, 4)
    assert [node.control.call("mock.status")["height"] for node in nodes] == [480] * 3
    assert len({node.rpc.call("light.latest_header")["hash"] for node in nodes}) == 1
    executor(a, "treasury-a")
    due(a)
    a.control.call("mock.tick")
    until(lambda: [waiting(node) for node in nodes] == [1, 1, 1], "the payment in every mempool")
    c.control.call("mock.mine")
    in_step(nodes)
    assert [coins(node, "tb1qpayee") for node in nodes] == [1000] * 3
    assert [waiting(node) for node in nodes] == [0, 0, 0]


def test_treasury_records_stay_each_nodes_own(nodes: list[NodeProcess]) -> None:
    due(nodes[0])
    nodes[0].control.call("mock.mine")
    in_step(nodes)
    assert nodes[1].rpc.call("gov.treasury.list_disbursements")["disbursements"] == []


def test_two_executors_on_one_chain_pay_twice(nodes: list[NodeProcess]) -> None:
    """Neither sees the other's lease; the second takes the next nonce."""
    a, b, _ = nodes
    reach_epoch(nodes, 4)
    for node, name in ((a, "treasury-a"), (b, "treasury-b")):
        executor(node, name)
        due(node)
    a.control.call("mock.tick")
    until(lambda: waiting(b) == 1, "the first payment")
    b.control.call("mock.tick")
    until(lambda: waiting(a) == 2, "both payments")
    a.control.call("mock.mine")
    in_step(nodes)
    assert [coins(node, "tb1qpayee") for node in nodes] == [2000] * 3


def test_the_longer_branch_wins_and_the_losers_payment_waits_again(nodes: list[NodeProcess]) -> None:
    a, b, c = nodes
    reach_epoch(nodes, 4)
    a.control.call("mock.partition")
    executor(a, "treasury-a")
    id_ = due(a)
    a.control.call("mock.tick")
    a.control.call("mock.mine")
    lost = a.rpc.call("light.latest_header")["hash"]
    b.control.call("mock.mine", {"blocks": 3})
    until(lambda: len({node.control.call("mock.peers")["tip"] for node in (b, c)}) == 1, "b and c agree")
    assert (coins(a, "tb1qpayee"), coins(b, "tb1qpayee")) == (1000, 0)
    assert [peer["cut"] for peer in a.control.call("mock.peers")["peers"]] == [True, True]
    a.control.call("mock.heal")
    in_step(nodes)
    assert a.control.call("mock.status")["height"] == 483
    assert lost not in [header["hash"] for header in a.rpc.call("light.headers", {"start": 481})]
    assert coins(a, "tb1qpayee") == 0 and state(a, id_) == "Executed"
    until(lambda: [waiting(node) for node in nodes] == [1, 1, 1], "the payment waits again, everywhere")
    b.control.call("mock.mine")
    in_step(nodes)
    assert [coins(node, "tb1qpayee") for node in nodes] == [1000] * 3


def test_a_payment_whose_nonce_the_winner_used_is_gone(nodes: list[NodeProcess]) -> None:
    """The record says Executed, and nobody was paid: what a reorganisation does to a node that never looks back."""
    a, b, _ = nodes
    reach_epoch(nodes, 4)
    a.control.call("mock.partition")
    for node, name, destination in ((a, "treasury-a", "tb1qlost"), (b, "treasury-b", "tb1qpaid")):
        executor(node, name)
        due(node, destination)
        node.control.call("mock.tick")
    a.control.call("mock.mine")
    b.control.call("mock.mine", {"blocks": 2})
    a.control.call("mock.heal")
    in_step(nodes)
    assert [(coins(node, "tb1qlost"), coins(node, "tb1qpaid"), waiting(node)) for node in nodes] == [(0, 1000, 0)] * 3
    assert state(a, 1) == "Executed"


def test_coins_given_on_the_losing_side_are_given_again(nodes: list[NodeProcess]) -> None:
    a, b, _ = nodes
    a.control.call("mock.partition")
    a.control.call("mock.fund", {"account": "alice", "amount": 7})
    b.control.call("mock.mine")
    b.control.call("mock.fund", {"account": "bob", "amount": 5})
    a.control.call("mock.heal")
    in_step(nodes)
    assert [(coins(node, "alice"), coins(node, "bob")) for node in nodes] == [(7, 5)] * 3


def test_a_node_that_was_killed_catches_up(nodes: list[NodeProcess], tmp_path: Path) -> None:
    a, b, c = nodes
    address = c.control.call("mock.peers")["name"]
    rpc = f"{c.address[0]}:{c.address[1]}"
    c.kill()
    a.control.call("mock.mine", {"blocks": 2})
    until(lambda: [peer["error"] for peer in a.control.call("mock.peers")["peers"]].count(None) == 1, "c is missed")
    with NodeProcess(tmp_path / "c", control_addr=address, rpc_addr=rpc) as again:
        in_step([a, b, again])
        assert again.control.call("mock.status")["height"] == 2


def test_more_links_than_are_kept(nodes: list[NodeProcess]) -> None:
    a, b, _ = nodes
    b.control.call("mock.partition")
    for _ in range(300):
        a.control.call("mock.mine")
    a.control.call("mock.fund", {"account": "alice", "amount": 7})
    b.control.call("mock.heal")
    in_step(nodes)
    assert [(node.control.call("mock.status")["height"], coins(node, "alice")) for node in nodes] == [(300, 7)] * 3
    assert coins(b, "treasury") == 100_000


def test_a_node_that_leaves_is_alone(nodes: list[NodeProcess]) -> None:
    a, b, _ = nodes
    assert a.control.call("mock.peers", {"peers": []})["peers"] == []
    b.control.call("mock.mine")
    with pytest.raises(Refused, match="expected a peer"):
        told(a, sender=b.control.call("mock.peers")["name"])
    assert a.control.call("mock.status")["height"] == 0


def told(node: NodeProcess, **changed: Any) -> Any:
    message = {"sender": "127.0.0.1:1", "root": ["r", 0, {}], "links": [], "mempool": []} | changed
    return node.control.call("mock.exchange", message)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"links": [["x", "n", 1, [], None]]}, "follow from the one before"),
    ({"links": [["x", "n", 10**15, [], None]]}, "follow from the one before"),
    ({"links": 5}, "expected the chain of a peer"),
    ({"root": ["r", "high", {}]}, "expected the chain of a peer"),
    ({"mempool": [["nonsense"]]}, "expected the chain of a peer"),
    ({"sender": "127.0.0.1:2"}, "expected a peer"),
]


@pytest.mark.parametrize(("changed", "why"), BAD)
def test_what_no_peer_would_say_changes_nothing(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    with NodeProcess(tmp_path) as node:
        node.control.call("mock.peers", {"peers": ["127.0.0.1:1"]})
        before = node.control.call("mock.peers")["tip"]
        with pytest.raises(Refused, match=why):
            told(node, **changed)
        assert node.control.call("mock.peers")["tip"] == before


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("mock.peers", {"peers": ["nowhere"]}, "expected control addresses"),
    ("mock.peers", {"peers": "127.0.0.1:1"}, "expected control addresses"),
    ("mock.peers", {"peers": [""]}, "expected control addresses"),
    ("mock.partition", {"peers": ["127.0.0.1:9"]}, "it has none"),
]


@pytest.mark.parametrize(("method", "params", "why"), WRONG)
def test_wrong_addresses_say_what_fits(tmp_path: Path, method: str, params: dict[str, Any], why: str) -> None:
    with NodeProcess(tmp_path) as node, pytest.raises(Refused, match=why):
        node.control.call(method, params)


def test_a_reset_in_the_middle_of_a_talk_ends_it(nodes: list[NodeProcess]) -> None:
    a, b, _ = nodes
    for _ in range(20):
        a.control.call("mock.mine")
        a.control.call("mock.reset")
        meet(nodes)
    in_step(nodes)
    assert "Traceback" not in error_of(a) + error_of(b)


def error_of(node: NodeProcess) -> str:
    """What the node has said on standard error so far; it is stopped for that."""
    node.process.terminate()
    assert node.process.stderr
    return node.process.stderr.read()
