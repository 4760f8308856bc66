"""The node that pages run against: a mock node started here or by `make run`, or a live node.

A mock is reset before each page and asked after each block what it saw. Of a live node nothing is asked but what the
pages' blocks ask: only `read` blocks run there unless writes are allowed, `destructive` ones never.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from handbook import facts, tool
from handbook.control import Control, Unreachable
from handbook.monitoring.prometheus import Prometheus
from handbook.ports import free_port

MOCK = "mock node"
"""How the build of every mock begins, as verdicts name it."""
DEFAULT_NODE = {"treasury_balance": 1_000_000, "clock": 1_767_225_600, "height": 0, "executor": "off"}
"""What a page finds unless its front matter says otherwise; the clock stands at 2026-01-01T00:00:00Z."""


@dataclass(frozen=True)
class Addresses:
    """Base URLs of a node's listeners. `control` is None on a live node."""

    node: str
    control: str | None = None
    metrics: str | None = None

    def env(self) -> dict[str, str]:
        found = {"NODE": self.node, "CONTROL": self.control, "METRICS": self.metrics}
        return {name: url for name, url in found.items() if url}


@dataclass(frozen=True)
class Seen:
    """What a mock node saw since it was last asked."""

    calls: tuple[dict[str, Any], ...] = ()
    changed: bool = False
    """Whether a call changed the node's state."""


@dataclass
class Target:
    """Where a page's blocks go. `build` is what the site says the page was verified on."""

    addresses: Addresses
    build: str
    is_mock: bool
    _control: Control | None = None
    _boot: str = ""
    _cursor: int = 0
    _writes: int = 0
    _prometheus: Prometheus | None = None

    def reset(self, node: dict[str, Any]) -> None:
        """Gives the next page a fresh mock node. Does nothing to a live one."""
        if self._control is None:
            return
        self._control.call("mock.reset", {**DEFAULT_NODE, **node})
        self._cursor = self._writes = 0

    def seen(self) -> Seen:
        """The calls since the last time; empty where nobody listens (a page may start and kill its own node)."""
        if self._control is None:
            return Seen()
        try:
            journal = self._control.call("mock.journal", {"since": self._cursor})
            if journal["boot_id"] != self._boot or journal["next"] < self._cursor:  # its journal started again
                self._boot, self._writes = journal["boot_id"], 0
                journal = self._control.call("mock.journal", {"since": 0})
        except Unreachable:
            return Seen()
        before, self._writes, self._cursor = self._writes, journal["writes"], journal["next"]
        return Seen(tuple(journal["entries"]), journal["writes"] != before)

    def prometheus(self) -> Prometheus:
        """A Prometheus that scrapes this node, started when it is first asked for."""
        if self._prometheus is None:
            assert self.addresses.metrics
            self._prometheus = Prometheus(self.addresses.metrics)
        return self._prometheus

    def close(self) -> None:
        if self._prometheus:
            self._prometheus.stop()
        if self._control:
            self._control.close()


def own_node(build: str) -> Target:
    """For a page that starts its own nodes: addresses where nobody listens yet."""
    addresses = Addresses(*(f"http://127.0.0.1:{free_port()}{path}" for path in ("", "", "/metrics")))
    assert addresses.control
    return Target(addresses, build, is_mock=True, _control=Control(addresses.control, timeout=2.0))


def running_mock(addresses: Addresses) -> Target:
    """A mock node that is already up. Raises Unreachable."""
    assert addresses.control
    control = Control(addresses.control)
    status = control.call("mock.status")
    build = f"{MOCK} ({status['build']} {facts.CONTRACT_BUILD})"
    target = Target(addresses, build, is_mock=True, _control=control)
    target.seen()
    return target


def live_node(url: str) -> Target:
    """A node that is not ours. Raises Unreachable when nobody answers there."""
    client = Control(url)
    client.call("consensus.difficulty")
    client.close()
    return Target(Addresses(url), f"live node at {url}", is_mock=False)


@dataclass(frozen=True)
class Ports:
    """Of a mock node on 127.0.0.1; 0 takes a free one."""

    rpc: int = 0
    control: int = 0
    metrics: int = 0


class MockProcess:
    """A mock node in a process of its own, with its data in `directory`. Raises RuntimeError if it does not start.

    `env` goes over the environment, which passes on no `TB_*` variable of its own.
    """

    def __init__(
        self,
        directory: Path,
        ports: Ports | None = None,
        flags: tuple[str, ...] = (),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        ports = ports or Ports()
        self.log = directory / "node.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TB_")}
        environment = {**inherited, "TB_RPC_TOKENS_PER_SEC": "1000000", **env}
        command = [
            sys.executable,
            "-m",
            "handbook",
            "node",
            "--data-dir",
            str(directory / "node-data"),
            "--rpc-addr",
            f"127.0.0.1:{ports.rpc}",
            "--control-addr",
            f"127.0.0.1:{ports.control}",
            "--metrics-addr",
            f"127.0.0.1:{ports.metrics}",
            *flags,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        lines = self._wait_until_ready()
        at = {
            kind: next(ln.split()[-1] for ln in lines if ln.startswith(f"{kind} listening on"))
            for kind in ("RPC", "control", "metrics")
        }
        self.addresses = Addresses(f"http://{at['RPC']}", f"http://{at['control']}", f"http://{at['metrics']}/metrics")

    def _wait_until_ready(self, seconds: float = 30.0) -> list[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            lines = self.log.read_text().splitlines()
            if any(line.startswith("RPC listening on") for line in lines):
                return lines
            if self.process.poll() is not None:
                raise RuntimeError("the mock node did not start: " + " / ".join(lines[-3:]))
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"the mock node was not ready within {seconds:.0f} s; its log: {self.log}")

    def stop(self) -> None:
        tool.end(self.process)
