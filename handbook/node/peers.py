"""Nodes that share a chain: what one tells another on the control listener, and what it makes of it.

A node tells its peers its whole chain and mempool whenever one of them changed, and again while it is not in
step with one. The answer holds the other's, so one side's word is enough. The real node starts no gossip: this is for
rehearsals that need two nodes on one chain.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from handbook.node import events as ev
from handbook.node import forks
from handbook.node.failure import RpcError

if TYPE_CHECKING:
    from handbook.node.node import Node

AGAIN_SECONDS = 0.25
ANSWER_SECONDS = 5.0
MAX_MESSAGE = 16 * 2**20
"""Bytes of a chain with its mempool."""
MAX_PEERS = 32


class Message(msgspec.Struct):
    """A node's chain and mempool. `meet` asks to be taken up among the other's peers."""

    sender: Annotated[str, msgspec.Meta(description="control listener of the node that speaks")]
    root: Annotated[ev.Root, msgspec.Meta(description="where its links begin: hash, height, accounts")]
    links: Annotated[list[ev.Link], msgspec.Meta(description="its blocks since then, those mined at once together")]
    mempool: Annotated[list[ev.Admitted], msgspec.Meta(description="its payments that wait")]
    meet: Annotated[bool, msgspec.Meta(description="whether it asks to be taken up")] = False


class Peers:
    """The talking; whom to talk to is part of the state, so it outlives the process."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.name = ""
        self._unmet: set[str] = set()
        self._told: tuple[str, ...] | None = None
        self._seen: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        self._talks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, name: str) -> None:
        """`name`: the control listener's address. A node that had peers before it was restarted meets them again."""
        self.name = name
        if net := self._node.state.net:
            self._unmet = set(net.peers)
            self.own()
            self._tell()

    def own(self) -> None:
        """Makes a state that another process or node left this node's own."""
        if (net := self._node.state.net) and net.name != self.name:
            others = [peer for peer in net.peers if peer != self.name]
            self._node.record(ev.PeersSet(self.name, others, [peer for peer in net.cut if peer in others]))

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        for talk in self._talks.values():
            talk.cancel()

    def set(self, peers: list[str], cut: list[str]) -> None:
        """Raises nothing: addresses were checked. New peers are met; the ones left out are not told."""
        net = self._node.state.net
        known = net.peers if net else []
        self._node.record(ev.PeersSet(self.name, peers, cut))
        self._seen = {peer: tip for peer, tip in self._seen.items() if peer in peers}
        self._errors = {peer: why for peer, why in self._errors.items() if peer in peers}
        self._unmet = (self._unmet | (set(peers) - set(known))) & set(peers)
        self._tell()

    def committed(self) -> None:
        """To be called when a change is stored: tells the peers if chain or mempool changed."""
        net = self._node.state.net
        if net and self._told != (now := (net.tip, *(payment.tx_hash for payment in self._node.state.mempool))):
            self._told = now
            self._tell()

    def take(self, params: dict[str, Any]) -> dict[str, Any]:
        """What a peer says. Raises RpcError when it is no peer, is cut off, or says what cannot be."""
        try:
            message = msgspec.convert(params, Message)
        except msgspec.ValidationError as error:
            raise RpcError(-32602, f"params: expected the chain of a peer: {error}") from None
        net = self._node.state.net
        if message.meet and (net is None or message.sender not in net.peers):
            peers = [*(net.peers if net else []), message.sender]
            if len(peers) > MAX_PEERS:
                raise RpcError(-32602, f"sender: expected at most {MAX_PEERS} peers")
            self._node.record(ev.PeersSet(self.name, peers, net.cut if net else []))
            net = self._node.state.net
        if net is None or message.sender not in net.peers:
            raise RpcError(-32602, f"sender: expected a peer, got {message.sender}")
        if message.sender in net.cut:
            raise RpcError(-32602, f"sender: {message.sender} is cut off: mock.heal ends that")
        self._merge(message)
        self._heard(message.sender, forks.Net("", message.root, links=message.links).tip)
        return msgspec.to_builtins(self._message())  # type: ignore[no-any-return]  # a struct becomes a dict

    def shown(self) -> dict[str, Any]:
        """`in_step`: the last that was heard of the peer is this node's own tip."""
        state, net = self._node.state, self._node.state.net
        return {
            "height": state.height,
            "name": self.name,
            "peers": [
                {
                    "address": peer,
                    "cut": peer in net.cut,
                    "error": self._errors.get(peer),
                    "in_step": peer not in net.cut and self._seen.get(peer) == net.tip,
                }
                for peer in net.peers
            ]
            if net
            else [],
            "tip": net.tip if net else None,
        }

    def _merge(self, message: Message) -> None:
        """Takes the other's chain if it wins, then its payments if they fit."""
        node, net = self._node, self._node.state.net
        assert net
        if not forks.sound(message.root, message.links):
            raise RpcError(-32602, "links: expected each to follow from the one before")
        if forks.wins(net, message.root, message.links):
            both = forks.shared(net, message.root, message.links)
            if both is None:
                node.record(ev.ChainTaken(message.root, 0, message.links))
            else:
                node.record(ev.ChainTaken(None, both[0], message.links[both[1] :]))
        known = {payment.tx_hash for payment in node.state.mempool}
        for payment in sorted(message.mempool, key=lambda payment: payment.nonce):
            if payment.tx_hash not in known and forks.fits(node.state, payment):
                node.record(payment)

    def _message(self, meet: bool = False) -> Message:
        net = self._node.state.net
        assert net
        return Message(self.name, net.root, list(net.links), list(self._node.state.mempool), meet)

    def _heard(self, peer: str, tip: str) -> None:
        self._seen[peer] = tip
        self._errors.pop(peer, None)
        net = self._node.state.net
        if net and tip != net.tip:
            self._later()

    def _later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._again)

    def _again(self) -> None:
        self._timer = None
        self._tell()

    def _tell(self) -> None:
        net = self._node.state.net
        for peer in net.peers if net else []:
            if net and peer not in net.cut:
                if (talk := self._talks.get(peer)) and not talk.done():
                    self._later()
                else:
                    self._talks[peer] = asyncio.get_running_loop().create_task(self._talk(peer))

    async def _talk(self, peer: str) -> None:
        """One exchange. A peer that does not answer is asked again."""
        node = self._node
        try:
            while node.dirty:  # what is told is stored
                await asyncio.sleep(0)
            if node.state.net is None:  # mock.reset came between
                return
            message = self._message(peer in self._unmet)
            body = msgspec.json.encode({"id": 1, "method": "mock.exchange", "params": message})
            answer = await asyncio.wait_for(_post(peer, body), ANSWER_SECONDS)
            if self._reaches(peer):
                self._merge(answer)
                self._unmet.discard(peer)
                self._heard(peer, forks.Net("", answer.root, links=answer.links).tip)
        except (OSError, EOFError, TimeoutError, ValueError, msgspec.MsgspecError, RpcError) as error:
            self._errors[peer] = str(error) or type(error).__name__
            self._seen.pop(peer, None)
            if self._reaches(peer):
                self._later()

    def _reaches(self, peer: str) -> bool:
        """Whether it still is a peer that is not cut off; a talk takes a while."""
        net = self._node.state.net
        return net is not None and peer in net.peers and peer not in net.cut


class _Answer(msgspec.Struct):
    result: Message | None = None
    error: dict[str, Any] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


async def _post(peer: str, body: bytes) -> Message:
    host, _, port = peer.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        head = f"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        received = bytearray()
        while part := await reader.read(2**16):
            received += part
            if len(received) > MAX_MESSAGE:
                raise ValueError(f"more than {MAX_MESSAGE} bytes")
    finally:
        writer.close()
    answer = _ANSWER.decode(bytes(received).partition(b"\r\n\r\n")[2])
    if answer.result is None:
        raise ValueError((answer.error or {}).get("message") or "no answer")
    return answer.result
