"""`handbook monitor`: broken and mended by hand, and nothing left of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from handbook.chain.process import wait_until

HANDBOOK = [sys.executable, "-m", "handbook"]


class Running:
    """A monitor in a process of its own; what it says goes to a file."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.log = directory / "monitor.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*HANDBOOK, "monitor", *names], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        self.wait("quit")

    def type(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def said(self) -> str:
        return self.log.read_text()

    def wait(self, words: str) -> None:
        wait_until(f"{words!r} in what it says", lambda: words in self.said() or self.process.poll() is not None, 60)
        assert words in self.said()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running(directory: Path, *names: str) -> Iterator[Running]:
    found = Running(directory, *names)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(30) == 0
        assert found.process.stdin
        found.process.stdin.close()


def test_what_is_broken_is_told_and_what_is_mended_too(tmp_path: Path) -> None:
    with running(tmp_path, "TreasuryCounterShort", "NodeMetricsMissing") as monitor:
        monitor.type("break short")
        monitor.wait("TreasuryCounterShort: a disbursement is open and the counter holds 5000, on 127.0.0.1:")
        monitor.type("break TreasuryCounterShort")
        monitor.wait("TreasuryCounterShort is broken already")
        monitor.wait("slack          firing   TreasuryCounterShort (warning) on 127.0.0.1:")
        assert "runbooks/treasury-counter-short.md" in monitor.said()
        monitor.type("list")
        monitor.wait("firing   broken  TreasuryCounterShort")
        monitor.wait("silent           NodeMetricsMissing")
        monitor.type("mend short")
        monitor.wait("slack          resolved TreasuryCounterShort")
        for line, answer in {
            "mend short": "TreasuryCounterShort is not broken",
            "break e": "e: expected one of TreasuryCounterShort, NodeMetricsMissing",
            "break nothing": "nothing: expected one of TreasuryCounterShort, NodeMetricsMissing",
            "brake short": "brake: no such word",
        }.items():
            monitor.type(line)
            monitor.wait(answer)
        children = monitor.children()
        assert len(children) == 6  # three nodes, a host's exporter, Prometheus, Alertmanager
        monitor.type("quit")
        assert monitor.process.wait(30) == 0
        assert not [child for child in children if child.is_running()]
    assert monitor.said().rstrip().endswith("stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_of_it(tmp_path: Path, number: int) -> None:
    with running(tmp_path, "NodeMetricsMissing") as monitor:
        children = monitor.children()
        assert children
        monitor.process.send_signal(number)
        assert monitor.process.wait(30) == 0
        assert not [child for child in children if child.is_running()]


def refused(verb: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [*HANDBOOK, verb, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name in ("prometheus", "alertmanager", "recorder"):
            said = refused("monitor", f"--{name}-port", str(port))
            assert said == f"Error: 127.0.0.1:{port} is in use\n  hint: --{name}-port 0 takes a free one\n"


@pytest.mark.parametrize("verb", ["monitor", "chain"])
def test_a_name_that_is_no_alert_is_named(verb: str) -> None:
    said = refused(verb, "NodeMetricMissing")
    assert said.startswith("Error: NodeMetricMissing: no fault for it\n  hint: one of TreasuryDisbursementStuck, ")
    assert ("Watchdog" in said) == (verb == "chain")  # nothing can be broken for it on a node


@pytest.mark.parametrize("verb", ["monitor", "chain"])
def test_a_missing_program_is_named_and_nothing_is_left(tmp_path: Path, verb: str) -> None:
    started = time.time()
    said = refused(verb, "NodeMetricsMissing", PATH=str(tmp_path))
    assert said == (
        "Error: prometheus: this program is not installed\n  hint: apt-get install --no-install-recommends prometheus\n"
    )
    left = [one for one in psutil.Process().children(recursive=True) if one.create_time() > started]
    assert left == []
