"""Nodes, hosts and the servers that watch them, in good health: what faults are then put into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from handbook import tool
from handbook.chain.fault import Fault
from handbook.chain.host import Host
from handbook.chain.lane import Lane, Setup
from handbook.chain.recorder import Message
from handbook.chain.stack import Ports, Stack
from handbook.chain.watch import Watch

SERVERS = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
UNTOUCHED = ("untouched node", "untouched host")
STARTERS = 8
"""Processes that are started side by side."""


class Ground:
    """One node or host per fault, and one of each with which nothing is ever wrong; all scraped, rules loaded.

    `lanes` and `made` (what the faults' `prepare` returned) are by alert. Raises tool.MissingTool, Unreadable,
    NotInTime, RuntimeError.
    """

    def __init__(
        self,
        directory: Path,
        source: Path,
        faults: Sequence[Fault[Any]],
        ports: Ports | None = None,
        told: Callable[[Message], None] | None = None,
    ) -> None:
        for name in SERVERS:
            tool.program(name)
        with ExitStack() as opened:
            self.lanes = _lanes(directory, source, faults, opened)
            self.made = {fault.alert: fault.prepare(self.lanes[fault.alert]) for fault in faults}
            scraped = [(lane.job, lane.instance) for lane in self.lanes.values()]
            self.stack = Stack(directory, source, ports, scraped=scraped, told=told)
            opened.callback(self.stack.stop)
            self.stack.wait_for_scrapes(len(scraped))
            self.stack.rule()
            self.watch = Watch(self.stack)
            opened.callback(self.watch.stop)
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()


def _lanes(directory: Path, source: Path, faults: Sequence[Fault[Any]], opened: ExitStack) -> dict[str, Any]:
    def lane(name: str, setup: Setup | None) -> Any:
        place = directory / name
        return Host(place, source / "node_textfile.sh") if setup is None else Lane(place, setup)

    wanted = {fault.alert: fault.setup for fault in faults} | dict(zip(UNTOUCHED, (Setup(), None), strict=True))
    with ThreadPoolExecutor(STARTERS) as pool:
        futures = {name: pool.submit(lane, name, setup) for name, setup in wanted.items()}
    failed = [error for future in futures.values() if (error := future.exception())]
    for future in futures.values():
        if not future.exception():
            opened.callback(future.result().close)
    if failed:
        raise failed[0]
    return {name: future.result() for name, future in futures.items()}
