"""Sockets, ready lines, signals. `main` blocks until the node is stopped by SIGTERM or SIGINT (exit status 0)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import resource
import signal
import sys
from typing import NoReturn

from handbook.node.batch import Batch
from handbook.node.config import Config, address
from handbook.node.control import ControlSite
from handbook.node.exposition import render
from handbook.node.failure import CommitFailed, StartFailure
from handbook.node.node import Node
from handbook.node.parser import Request
from handbook.node.rpc import RpcSite
from handbook.node.wire import FRESH_SECONDS, MAX_BODY, Connection, Site, close_late, reply

BACKLOG = 1024
OPEN_FILES = 65_536
ACCEPT_SECONDS = 0.05
"""How often build 0ecc756a looks for the next client of its metrics listener."""


class MetricsSite:
    """Every request gets the metrics, whatever its verb or path, as on the node.

    `connections` are those of all listeners.
    """

    max_body = MAX_BODY

    def __init__(self, node: Node, connections: set[Connection]) -> None:
        self._node, self._connections = node, connections

    @property
    def fresh_seconds(self) -> float:
        return float("inf") if "metrics_serial" in self._node.deviations else FRESH_SECONDS

    def answer(self, connection: Connection, request: Request) -> None:
        if "metrics_serial" in self._node.deviations and self._waits(connection):
            connection.hold(ACCEPT_SECONDS, lambda: self.answer(connection, request))
            return
        text = render(self._node).encode()
        data = reply(200, text, request.close, content_type="text/plain; charset=utf-8")
        connection.reply(data, request.close)

    def _waits(self, connection: Connection) -> bool:
        """For a client that connected before and is still silent."""
        return not connection.transport.is_closing() and any(
            other.silent and other.site is self and other.number < connection.number for other in self._connections
        )

    def drop(self, connection: Connection) -> None:
        connection.drop()


def main(config: Config) -> None:
    """Runs a node until it is stopped. Prints `RPC listening on ADDR` when it answers; failures exit with status 1."""
    _allow_open_files()
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    gc.disable()  # a replay makes nothing that needs collecting
    try:
        node = Node(config)
    except (StartFailure, CommitFailed) as failure:
        loop.close()
        _fail(failure)
    try:
        loop.run_until_complete(_serve(node))
    except StartFailure as failure:
        node.close()
        _fail(failure)
    finally:
        loop.close()


async def _serve(node: Node) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config, batch = node.config, Batch(node, loop)
    connections: set[Connection] = set()
    sites: list[tuple[str, str, str, Site]] = [("RPC", "--rpc-addr", config.rpc_addr, RpcSite(node, batch))]
    if config.control_addr:
        sites.insert(0, ("control", "--control-addr", config.control_addr, ControlSite(node, batch)))
    if config.metrics_addr:
        sites.insert(0, ("metrics", "--metrics-addr", config.metrics_addr, MetricsSite(node, connections)))
    servers = []
    for name, flag, where, site in sites:
        server, bound = await _listen(loop, flag, where, site, connections)
        servers.append(server)
        if name == "control":
            node.peers.start(bound)
        print(f"{name} listening on {bound}", flush=True)
    node.miner.start(loop)
    if node.executor:
        node.executor.run(loop)
    loop.call_later(0.05, node.contract.warm)
    loop.call_soon(_watch, loop, connections)
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    await stop.wait()
    for server in servers:
        server.close()
    batch.flush()
    for connection in list(connections):
        connection.drop()
    node.close()


async def _listen(
    loop: asyncio.AbstractEventLoop, flag: str, where: str, site: Site, connections: set[Connection]
) -> tuple[asyncio.Server, str]:
    host, port = address(flag, where)
    try:
        server = await loop.create_server(lambda: Connection(site, connections), host, port, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"stop what listens there (ss -ltnp 'sport = :{port}'), or choose another port"
            raise StartFailure(f"{flag} {where}", "the address is in use", hint) from None
        raise StartFailure(f"{flag} {where}", error.strerror or str(error)) from None
    bound = server.sockets[0].getsockname()
    return server, f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"


def _watch(loop: asyncio.AbstractEventLoop, connections: set[Connection]) -> None:
    close_late(connections, loop.time())
    loop.call_later(0.5, _watch, loop, connections)


def _allow_open_files() -> None:
    """A shell allows 1024, fewer than the clients that a node must bear."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _new_loop() -> asyncio.AbstractEventLoop:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def _fail(failure: Exception) -> NoReturn:
    print(failure, file=sys.stderr, flush=True)
    raise SystemExit(1)
