"""The chain of a node that has peers: links since a root, which of two branches wins, what the loser's payments become.

The longer branch wins; of two equally long ones the one whose tip is lower, so that nodes agree without a next block.
Treasury records, intents, leases and the energy market are each node's own and no part of it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from handbook.node import events as ev

if TYPE_CHECKING:
    from handbook.node.state import State

MAX_LINKS = 256
"""Older links become part of the root. Nodes that parted before take the winner's chain whole."""
MAX_BLOCKS = 2**40
"""What one link may claim."""


class Account(msgspec.Struct):
    balance: int = 0
    nonce: int = 0


class Net(msgspec.Struct):
    """`name` is the address at which the others know this node; `cut` are the peers that it has lost."""

    name: str
    root: ev.Root
    peers: list[str] = []
    cut: list[str] = []
    links: list[ev.Link] = []

    @property
    def tip(self) -> str:
        return self.links[-1].hash if self.links else self.root.hash


def digest(*parts: object) -> str:
    """64 hexadecimal digits that depend on nothing but the parts."""
    return sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def link(parent: str, by: str, blocks: int, payments: list[ev.Admitted], fund: ev.Fund | None = None) -> ev.Link:
    name = digest("link", parent, by, blocks, fund, *(payment.tx_hash for payment in payments))
    return ev.Link(name, by, blocks, payments, fund)


def sound(root: ev.Root, links: list[ev.Link]) -> bool:
    """Whether each link names the one before it, and no number is out of bounds."""
    parent = root.hash
    for found in links:
        amounts = [number for payment in found.payments for number in (payment.amount, payment.fee, payment.nonce)]
        if found.fund:
            amounts.append(found.fund[1])
        if not 0 <= found.blocks <= MAX_BLOCKS or not all(0 <= amount < 2**63 for amount in amounts):
            return False
        if found != link(parent, found.by, found.blocks, found.payments, found.fund):
            return False
        parent = found.hash
    return True


def shared(mine: Net, root: ev.Root, links: list[ev.Link]) -> tuple[int, int] | None:
    """How many links up to the last common one, here and there; None if not even a root is common."""
    own = {mine.root.hash: 0} | {found.hash: at for at, found in enumerate(mine.links, 1)}
    for at in range(len(links), 0, -1):
        if (keep := own.get(links[at - 1].hash)) is not None:
            return keep, at
    return None if (keep := own.get(root.hash)) is None else (keep, 0)


def wins(mine: Net, root: ev.Root, links: list[ev.Link]) -> bool:
    """Whether the other branch is to be taken. Of unrelated chains, equally long, the one with more coins wins."""
    both = shared(mine, root, links)
    if both and both[1] == len(links):
        return False
    if both and both[0] == len(mine.links):
        return True
    theirs, ours = _rank(root, links, bool(both)), _rank(mine.root, mine.links, bool(both))
    return theirs > ours or (theirs == ours and (links[-1] if links else root).hash < mine.tip)


def _rank(root: ev.Root, links: list[ev.Link], related: bool) -> tuple[int, int]:
    coins = 0 if related else sum(balance for balance, _ in root.accounts.values())
    return root.height + sum(found.blocks for found in links), coins


def pay(accounts: dict[str, Account], payment: ev.Admitted) -> None:
    sender = accounts.setdefault(payment.sender, Account())
    sender.balance -= payment.amount + payment.fee
    sender.nonce = max(sender.nonce, payment.nonce)
    accounts.setdefault(payment.to, Account()).balance += payment.amount


def meet(state: State, event: ev.PeersSet) -> None:
    """Without peers there is no net; the first ones make what the node has now its root."""
    if not event.peers:
        state.net = None
    elif state.net is None:
        accounts = {name: (account.balance, account.nonce) for name, account in sorted(state.accounts.items())}
        root = ev.Root(digest("root", state.height, accounts), state.height, accounts)
        state.net = Net(event.name, root, event.peers, event.cut)
    else:
        state.net.name, state.net.peers, state.net.cut = event.name, event.peers, event.cut


def extend(state: State, net: Net, found: ev.Link) -> None:
    state.height += found.blocks
    for payment in found.payments:
        pay(state.accounts, payment)
    if found.fund:
        state.accounts.setdefault(found.fund[0], Account()).balance += found.fund[1]
    net.links.append(found)
    if len(net.links) > MAX_LINKS:
        net.root = _grown(net.root, net.links.pop(0))


def take(state: State, net: Net, event: ev.ChainTaken) -> None:
    """The winner's chain becomes this node's.

    Payments that only the loser had mined wait again, and those that fit no more are dropped. Coins that an operator
    gave on the loser are given again, in the same way by every node that had them, unless nothing is common.
    """
    common = event.root is None
    kept, lost = (net.links[: event.keep], net.links[event.keep :]) if common else ([], net.links)
    if event.root is None:
        for found in reversed(lost):
            _undo(state, found)
    else:
        net.root = event.root
        state.height = event.root.height
        state.accounts = {name: Account(*parts) for name, parts in event.root.accounts.items()}
    net.links = kept
    for found in event.links:
        extend(state, net, found)
    waiting = [payment for found in lost for payment in found.payments] + state.mempool
    mined = {payment.tx_hash for found in event.links for payment in found.payments}
    state.mempool = []
    if common:
        given = {found.fund[2] for found in event.links if found.fund}
        for found in lost:
            if found.fund and found.fund[2] not in given:
                extend(state, net, link(net.tip, found.by, 0, [], found.fund))
    for payment in sorted(waiting, key=lambda payment: payment.nonce):
        if payment.tx_hash not in mined and fits(state, payment):
            state.mempool.append(payment)


def fits(state: State, payment: ev.Admitted) -> bool:
    """Whether the mempool can hold a payment that another node let in."""
    account = state.accounts.get(payment.sender)
    if account is None:
        return False
    own = [waiting for waiting in state.mempool if waiting.sender == payment.sender]
    held = sum(waiting.amount + waiting.fee for waiting in own)
    return payment.nonce == account.nonce + len(own) + 1 and account.balance >= held + payment.amount + payment.fee


def block_hash(net: Net, wanted: int) -> str | None:
    """Of a block above the root; None for the ones before, which all nodes number alike."""
    top = net.root.height
    for found in net.links:
        top += found.blocks
        if wanted <= top and wanted > top - found.blocks:
            return digest("block", found.hash, wanted)
    return None


def _undo(state: State, found: ev.Link) -> None:
    state.height -= found.blocks
    for payment in reversed(found.payments):
        sender = state.accounts[payment.sender]
        sender.balance += payment.amount + payment.fee
        sender.nonce = payment.nonce - 1
        state.accounts[payment.to].balance -= payment.amount
    if found.fund:
        state.accounts[found.fund[0]].balance -= found.fund[1]


def _grown(root: ev.Root, found: ev.Link) -> ev.Root:
    accounts = {name: Account(*parts) for name, parts in root.accounts.items()}
    for payment in found.payments:
        pay(accounts, payment)
    if found.fund:
        accounts.setdefault(found.fund[0], Account()).balance += found.fund[1]
    flat = {name: (account.balance, account.nonce) for name, account in accounts.items()}
    return ev.Root(found.hash, root.height + found.blocks, flat)
