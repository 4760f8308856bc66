"""How a fault ends the process, as `kill -9` would, and what the next process says of it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from handbook.node import events as ev
from handbook.node.config import Config
from handbook.node.failure import CommitFailed, LogLost, StartFailure
from handbook.node.faults import STORAGE
from handbook.node.torn import tear

if TYPE_CHECKING:
    from handbook.node.node import Node

TORN = "torn_log_line"


def crash(node: Node, fault: str) -> None:
    """Stores what was recorded, and that the process dies of `fault`; then it dies."""
    if any(standing.fault == "disk_full" for standing in node.faults.standing):
        die(node)
    node.record(ev.Crashed(fault))
    node.log.append([ev.encode(event) for event in node.uncommitted], node.state)
    die(node)


def die(node: Node) -> None:
    if node.state.crashed == TORN:
        tear(node.log.path.with_name(f"{node.log.path.name}-wal"))
    os.kill(os.getpid(), signal.SIGKILL)


def give_up(why: LogLost) -> NoReturn:
    """Ends the process with status 1. Whoever waits for an answer gets none: nothing is acknowledged."""
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


def at_commit(node: Node) -> None:
    """Raises CommitFailed for a fault of the storage, or makes this commit the last thing that the process does."""
    for kind in STORAGE:
        if node.strike(kind):
            node.faults.claim()
            why = "database or disk is full" if kind == "disk_full" else f"fault: {kind}"
            raise CommitFailed(why, kind)
    if node.strike("crash_before_commit"):
        node.uncommitted = []
        node.state = node.log.reload()
        crash(node, "crash_before_commit")
    elif node.strike("crash_after_commit"):
        crash(node, "crash_after_commit")
    elif node.strike(TORN):
        events, node.uncommitted = node.uncommitted, []
        node.log.keep_wal()
        node.log.append([ev.encode(ev.Crashed(TORN))], node.log.reload())
        node.log.append([ev.encode(event) for event in events], node.state)
        node.state.crashed = TORN
        die(node)


def confess(node: Node) -> None:
    """What killed the process before, into metric and journal: both forgot."""
    if fault := node.state.crashed:
        node.metrics.faults.add(fault)
        entry = node.journal.add(node.clock(), "process", None, b"")
        entry.ok, entry.message, entry.faults = False, "killed by a fault", (fault,)
        node.record(ev.Crashed(""))


def refused(config: Config) -> StartFailure:
    """The start after a torn write, as build 0ecc756a says it, which has no repair."""
    hint = "start it once without --build: the contract drops the unfinished write"
    return StartFailure(
        f"open db: {config.data_dir}: invalid wal record: unexpected end of input", "expected a whole last line", hint
    )
