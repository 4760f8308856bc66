"""How chain time passes: on command, by the clock on the wall, or with every payment.

The mode is part of the state, so it outlives the process and comes back with a snapshot; each block is an event of the
log like any other. The real node mines by its own work; here nothing happens unless somebody said so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from handbook.node import events as ev

if TYPE_CHECKING:
    from handbook.node.node import Node

MANUAL, TIMER, AUTO = "manual", "timer", "auto"
MODES = {
    MANUAL: "`mock.mine` and `mock.epoch` mine, nothing else does",
    TIMER: "`blocks` are mined every `interval` seconds of real time, also while the node's clock stands",
    AUTO: "a payment that enters the mempool is mined at once, the executor's too, so none ever waits",
}


class Miner:
    """Follows the mode that the state has. Without an event loop no timer runs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._follows: ev.MiningSet | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.follow()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._follows = None, None

    def follow(self) -> None:
        """To be called when the mode may be another one; a timer that goes on as before is left alone."""
        if self._node.state.mining != self._follows:
            self.stop()
            self._follows = self._node.state.mining
            self._wait()

    def due(self) -> list[ev.Event]:
        """What the mode adds to a change that was just applied."""
        state = self._node.state
        return [ev.Mined(1)] if state.mempool and state.mining.mode == AUTO else []

    def _wait(self) -> None:
        mining = self._follows
        if self._loop and mining and mining.mode == TIMER:
            self._timer = self._loop.call_later(mining.interval, self._mine)

    def _mine(self) -> None:
        mining = self._node.state.mining
        self._wait()
        self._node.record(ev.Mined(mining.blocks))
