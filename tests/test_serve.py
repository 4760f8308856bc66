"""`handbook serve` and `handbook verify` from the command line: summaries, and clear errors instead of tracebacks."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from handbook.ports import free_port


def handbook(*args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handbook", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_site_port_in_use_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = handbook("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"Error: http://127.0.0.1:{port} is in use\n  hint: make run PORT=8001\n"


def test_node_port_in_use_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = handbook(
            "serve",
            "--port",
            "0",
            "--node-port",
            str(taken.getsockname()[1]),
            "--control-port",
            "0",
            "--metrics-port",
            "0",
        )
    assert done.returncode == 1
    assert "the mock node did not start" in done.stderr
    assert "hint: NODE_PORT, CONTROL_PORT and METRICS_PORT choose others" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_counts_and_reports(tmp_path: Path, cases: Path) -> None:
    done = handbook("verify", str(cases / "good.md"), "--report", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stderr
    assert "1 page, 17 blocks: 15 passed, 2 excused, 0 failed" in done.stdout
    assert (tmp_path / "report.json").is_file()


def test_verify_fails_with_page_and_line(tmp_path: Path, cases: Path) -> None:
    done = handbook("verify", str(cases / "pages" / "wrong-exit.md"), "--report", str(tmp_path / "report.json"))
    assert done.returncode == 1
    assert "tests/cases/pages/wrong-exit.md:3: exit status 3, expected 2" in done.stderr


def test_verify_of_nothing_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("# No block\n")
    done = handbook("verify", str(tmp_path / "empty.md"), "--report", str(tmp_path / "report.json"))
    assert done.returncode == 1
    assert "no block found" in done.stderr


@pytest.mark.long
def test_serve_from_node_to_site_and_stop() -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "handbook",
        "serve",
        "--port",
        str(port),
        "--node-port",
        "0",
        "--control-port",
        "0",
        "--metrics-port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "site at" in line:
                break
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/operations/") as answer:
            assert b"verified on" in answer.read()
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing/")
        assert missing.value.code == 404
        missing.value.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert " 0 failed" in lines[-1]
