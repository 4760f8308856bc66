"""`handbook check` looks at everything there is, and says how much that was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handbook import facts
from handbook.check import check


def test_the_checkout_is_in_order() -> None:
    checked = check()
    assert checked.problems == []


def test_it_looked_at_something_of_every_kind() -> None:
    counts = check().counts
    least = {"pages": 18, "blocks": 350, "links": 250, "runbooks": 3, "methods": 51, "errors": 147}
    least |= {"method names": 350, "flag names": 120, "command names": 70, "port names": 60, "variable names": 40}
    least |= {"metric names": 80}
    least |= {"sections": 51, "errors explained": 63, "control calls": 24}
    least |= {"metrics": 49, "recorded": 16, "alerts": 7, "panels": 37}
    assert {what: counts[what] for what in least if counts[what] < least[what]} == {}


FACTS = (
    "monitoring/alertmanager.yml",
    "monitoring/prometheus.yml",
    "monitoring/rules_test.yml",
    "snippets/control.yml",
    "snippets/claims.yml",
    "snippets/deviations.yml",
    "snippets/names.yml",
    "snippets/errors.yml",
    "snippets/metric_exceptions.yml",
    "snippets/metrics.yml",
    "snippets/panels.yml",
    "snippets/retired.yml",
    "snippets/thresholds.yml",
)
BROKEN = {"empty": b"", "scalar": b"7\n", "open": b"a: [\n", "not UTF-8": b"a: \xe9\n", "other members": b"a: 1\n"}


@pytest.mark.parametrize("path", FACTS)
def test_a_broken_file_is_named_with_its_line(path: str, tmp_path: Path) -> None:
    """In a copy of the checkout, one process for all the ways a file can be broken."""
    for name in ("docs", "runbooks", "monitoring", "snippets", "handbook"):
        shutil.copytree(facts.ROOT / name, tmp_path / name)
    for name in ("README.md", "CONTRIBUTING.md", "mkdocs.yml"):
        shutil.copy(facts.ROOT / name, tmp_path)
    for how, content in BROKEN.items():
        (tmp_path / path).write_bytes(content)
        command = [sys.executable, "-m", "handbook", "check", *(["--monitoring"] if "monitoring/" in path else [])]
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 1, how
        assert "Traceback" not in done.stderr, how
        assert done.stderr.removeprefix("Error: ").startswith(path), how
