"""A mock node of its own for one fault, so that faults are broken side by side and a stray alert has one cause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from handbook.chain.middleman import Middleman
from handbook.control import Control, Unreachable
from handbook.target import MockProcess, Ports

NODES = "the-block-node"
"""The job under which Prometheus scrapes nodes."""


@dataclass(frozen=True)
class Setup:
    """How the node is started. `middleman`: its metrics go through one."""

    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    middleman: bool = False


class Flow:
    """Calls something again and again, until it is stopped: what goes on while nothing is wrong."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._stop = threading.Event()
        self.failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(seconds, call), daemon=True)
        self._thread.start()

    def _run(self, seconds: float, call: Callable[[], object]) -> None:
        while not self._stop.wait(seconds):
            try:
                call()
            except Exception as error:  # said by whoever looks at the flow; a thread has nobody to tell
                self.failed = error
                return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)


class Lane:
    """Started by the constructor. `instance` is its label; `flows` run until it is closed or they are stopped."""

    job = NODES

    def __init__(self, directory: Path, setup: Setup) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._setup, self._lock = directory, setup, threading.Lock()
        self.flows: list[Flow] = []
        self._node = MockProcess(directory, flags=setup.flags, env=setup.environment)
        at = self._node.addresses
        assert at.control and at.metrics
        self._ports = Ports(*(urlsplit(url).port or 0 for url in (at.node, at.control, at.metrics)))
        self._rpc, self._control = Control(at.node), Control(at.control)
        self.middleman = Middleman(at.metrics) if setup.middleman else None
        self.instance = self.middleman.address if self.middleman else urlsplit(at.metrics).netloc

    def rpc(self, method: str, **params: Any) -> Any:
        """Raises control.Refused, Unreachable."""
        with self._lock:
            return self._rpc.call(method, params)

    def mock(self, method: str, **params: Any) -> Any:
        """A call of the control listener, without its `mock.`. Raises control.Refused, Unreachable."""
        with self._lock:
            return self._control.call(f"mock.{method}", params)

    def every(self, seconds: float, call: Callable[[], object]) -> Flow:
        flow = Flow(seconds, call)
        self.flows.append(flow)
        return flow

    def kill(self) -> None:
        """As `kill -9` does."""
        self._node.process.kill()
        self._node.process.wait()

    def start(self) -> None:
        """Again, on the same ports and the same data."""
        self._node = MockProcess(self._directory, self._ports, self._setup.flags, self._setup.environment)

    def faults_struck(self) -> set[str]:
        """Names of the mock faults that its journal holds."""
        try:
            return {name for entry in self.mock("journal")["entries"] for name in entry["faults"]}
        except Unreachable:
            return set()

    def close(self) -> None:
        for flow in self.flows:
            flow.stop()
        self._rpc.close()
        self._control.close()
        if self.middleman:
            self.middleman.stop()
        self._node.stop()
