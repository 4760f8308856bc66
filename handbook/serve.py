"""`handbook serve`: the mock node, every page run against it, the site with its verdicts, served until Ctrl-C."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import click

from handbook import facts
from handbook.control import Control
from handbook.pages import report
from handbook.pages.verify import Progress, verify
from handbook.site_server import SiteServer
from handbook.target import DEFAULT_NODE, MockProcess, Ports

SITE = facts.ROOT / "build" / "site"


def build_site(strict: bool = True) -> None:
    """Builds `build/site`. Raises ClickException with what MkDocs said."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--clean"] + (["--strict"] if strict else [])
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=facts.ROOT, env=env, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise click.ClickException(f"the site does not build:\n{said}")
    if said:
        click.echo(said)


def serve(host: str, port: int, ports: Ports, *, stay: bool = True, fresh: bool = False) -> int:
    """Exit status: 0 when every block passed or is excused. With `stay=False` it ends after the summary.

    `fresh` runs also what passed before and rests on nothing that has changed.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        server = SiteServer((host, port), SITE)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else str(error)
        raise click.ClickException(f"http://{host}:{port} {why}\n  hint: make run PORT=8001") from None
    build = facts.ROOT / "build"
    build.mkdir(exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="node-", dir=build))  # its own: another `make run` may be at work here
    started = time.monotonic()
    progress: Progress | None = None
    try:
        node = MockProcess(data, ports)
    except RuntimeError as error:
        shutil.rmtree(data, ignore_errors=True)
        raise click.ClickException(f"{error}\n  hint: NODE_PORT, CONTROL_PORT and METRICS_PORT choose others") from None
    try:
        click.echo(
            f"mock node {node.addresses.node}  control {node.addresses.control}  metrics {node.addresses.metrics}"
        )
        progress = verify(
            node=node.addresses, report=report.PATH, junit=facts.ROOT / "build" / "junit.xml", reuse=not fresh
        )
        for failure in progress.failures:
            click.echo(f"\n{failure}", err=True)
        build_site(strict=not progress.failures)
        assert node.addresses.control
        Control(node.addresses.control).call("mock.reset", {"treasury_balance": DEFAULT_NODE["treasury_balance"]})
        server.node = node.addresses.node
        took = f"{time.monotonic() - started:.0f} s"
        click.echo(f"{progress.summary()} in {took}; site at {server.url}  (Ctrl-C stops all)")
        sys.stdout.flush()
        if stay:
            server.server_activate()
            server.serve_forever(poll_interval=0.2)
        return 1 if progress.failures else 0
    except KeyboardInterrupt:
        click.echo("\nstopped")
        return 1 if progress is None or progress.failures else 0
    finally:
        server.server_close()
        node.stop()
        shutil.rmtree(data, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
