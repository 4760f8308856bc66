"""Group commit on the event loop.

Calls of one loop turn share a commit, and no answer that may rest on it leaves before.

A commit that fails takes its writes with it: they are answered with -32092, reads of the same turn are answered
afresh.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import Protocol

from handbook.node import dying, injection
from handbook.node.desk import Answer
from handbook.node.failure import CommitFailed, LogLost
from handbook.node.node import Node
from handbook.node.parser import Request
from handbook.node.wire import Connection

MAX_WAITING = 1_048_576
"""Bytes of answers that wait for a commit; more bring it forward, so that what a client does not read stays small."""


class Source(Protocol):
    """Who gave the answer, and can give another."""

    def respond(self, request: Request, again: Answer | None = None) -> Answer: ...

    def refuse(self, answer: Answer, why: str) -> Answer: ...


class Batch:
    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node, self._loop = node, loop
        self._waiting: list[tuple[Source, Connection, Request | None, Answer]] = []
        self._scheduled = False
        self._bytes = 0
        node.on_change = self.schedule
        if node.dirty:
            self.schedule()

    def schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def send(self, source: Source, connection: Connection, request: Request | None, answer: Answer) -> None:
        """At once when everything is stored, else with the commit. Without a request it is final whatever happens."""
        if self._node.dirty or self._waiting:
            self._waiting.append((source, connection, request, answer))
            self._bytes += len(answer.data or b"")
            if self._bytes > MAX_WAITING:
                self.flush()
            else:
                self.schedule()
        else:
            deliver(connection, answer)

    def flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        try:
            failure = self._commit()
        except LogLost as lost:
            dying.give_up(lost)
        except Exception as defect:
            traceback.print_exc()
            dying.give_up(LogLost(f"{type(defect).__name__} at a commit: nobody knows what of it is stored"))
        if failure:
            for source, connection, request, answer in waiting:
                if request is not None:
                    wrote = answer.entry is not None and answer.entry.changed
                    answer = source.refuse(answer, str(failure)) if wrote else source.respond(request, answer)
                    if wrote and failure.fault and answer.entry is not None:
                        answer.entry.faults += (failure.fault,)
                deliver(connection, answer)
            return
        for _, connection, _, answer in waiting:
            deliver(connection, answer)

    def _commit(self) -> CommitFailed | None:
        """Why nothing was stored; the state then is what it was before."""
        try:
            self._node.commit()
        except CommitFailed as failure:
            self._node.rebuild()
            return failure
        return None


def deliver(connection: Connection, answer: Answer) -> None:
    if connection.busy:
        connection.behind(lambda: deliver(connection, answer))
    elif answer.how is not None:
        injection.deliver(connection, answer.data, answer.close, answer.how)
    elif answer.data is None:
        connection.drop()
    else:
        connection.reply(answer.data, answer.close)
