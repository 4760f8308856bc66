"""Pages behave as pytest users expect of tests."""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import psutil
import pytest

from handbook import facts
from handbook.target import MockProcess

PAGE = """# Page

```bash
x=1
```

## Second

```bash
echo "x is $x"
```

```{.text .output .no-copy}
x is 1
```

```python
print("from python")
```

```{.text .output .no-copy}
from python
```

```{.bash needs="people"}
true
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    return file


def pytest_on(*args: str | Path, node: MockProcess) -> subprocess.CompletedProcess[str]:
    at = node.addresses
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(facts.ROOT / "pyproject.toml"),
        "--rootdir",
        str(facts.ROOT),
        "--node",
        at.node,
        "--control",
        str(at.control),
        "--metrics",
        str(at.metrics),
        *map(str, args),
    ]
    return subprocess.run(command, cwd=facts.ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_all_blocks_are_items(page: Path, mock_process: MockProcess) -> None:
    done = pytest_on(page, "-q", node=mock_process)
    assert "5 passed, 1 skipped" in done.stdout
    assert done.returncode == 0


def test_one_block_by_its_id_runs_what_it_stands_on(page: Path, mock_process: MockProcess) -> None:
    done = pytest_on(f"{page}::second/1", "-q", node=mock_process)
    assert "1 passed" in done.stdout


def test_selection_by_name(page: Path, mock_process: MockProcess) -> None:
    done = pytest_on(page, "-q", "-k", "second/2", node=mock_process)
    assert "1 passed, 5 deselected" in done.stdout


def test_last_failed_survives_moved_lines(page: Path, mock_process: MockProcess, tmp_path: Path) -> None:
    cache = ("-o", f"cache_dir={tmp_path / 'cache'}")
    page.write_text(PAGE.replace("x is 1", "x is 2"))
    first = pytest_on(page, "-q", *cache, node=mock_process)
    assert "page.md:13: the block above prints something else" in first.stdout
    page.write_text("\n\n" + PAGE.replace("x is 1", "x is 2"))
    second = pytest_on(page, "-q", "--lf", *cache, node=mock_process)
    assert "page.md:15: the block above prints something else" in second.stdout
    assert "1 failed, 5 deselected" in second.stdout


def test_failure_names_page_and_line_once_each(page: Path, mock_process: MockProcess) -> None:
    page.write_text(PAGE.replace('print("from python")', "assert 1 == 2"))
    done = pytest_on(page, "-q", node=mock_process)
    assert "page.md:18: AssertionError: assert 1 == 2" in done.stdout
    assert "Traceback" not in done.stdout


def test_junit_holds_every_block_and_every_reason(page: Path, mock_process: MockProcess, tmp_path: Path) -> None:
    pytest_on(page, f"--junitxml={tmp_path / 'junit.xml'}", node=mock_process)
    found = ET.parse(tmp_path / "junit.xml").findall(".//testcase")
    assert len(found) == 6
    skipped = [case.find("skipped") for case in found if case.find("skipped") is not None]
    assert [one.get("message") for one in skipped if one is not None] == ["needs people"]


def test_update_writes_what_blocks_print(page: Path, mock_process: MockProcess) -> None:
    page.write_text(PAGE.replace("x is 1", ""))
    done = pytest_on(page, "-q", "--update-output", node=mock_process)
    assert done.returncode == 0
    assert page.read_text() == PAGE


def test_page_that_cannot_be_read_is_one_failure(page: Path, mock_process: MockProcess) -> None:
    page.write_text("# Page\n\n```bash\n")
    done = pytest_on(page, "-q", node=mock_process)
    assert "page.md:3: this fence (```) is never closed" in done.stdout
    assert "1 failed" in done.stdout


def test_unreachable_node_is_one_clear_line(page: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(facts.ROOT / "pyproject.toml"),
        "--node",
        "http://127.0.0.1:9",
        str(page),
    ]
    done = subprocess.run(command, cwd=facts.ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "no node to run the pages on: nobody answers at http://127.0.0.1:9" in done.stdout + done.stderr
    assert done.returncode == 4


def test_a_terminated_run_leaves_no_process(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n\n```bash\necho $$ > " + str(tmp_path / "pid") + "\nsleep 60\n```\n")
    command = [sys.executable, "-m", "handbook", "verify", str(file)]
    run = subprocess.Popen(command, cwd=facts.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    session, deadline = tmp_path / "pid", time.monotonic() + 60
    while not (session.exists() and session.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    started = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
    assert int(session.read_text()) in started and len(started) >= 3  # bash, its sleep, the node
    run.terminate()
    run.communicate(timeout=30)
    assert run.returncode
    left = [pid for pid in started if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert left == []
