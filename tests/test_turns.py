"""Who measures speed runs alone, in a run that several processes share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ITEMS = """
import json, os, time, pytest
def note():
    began = time.monotonic(); time.sleep(0.1)
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps([__name__, began, time.monotonic()]) + "\\n")
"""
ORDINARY = "".join(f"def test_{n}(): note()\n" for n in range(5))
ALONE = "@pytest.mark.alone\ndef test_a(): note()\n@pytest.mark.alone\ndef test_b(): note()\n"


def overlaps(directory: Path, alone: str) -> int:
    """How many ordinary tests ran while one of test_z ran."""
    for name, body in (("test_x", ORDINARY), ("test_y", ORDINARY), ("test_z", alone)):
        (directory / f"{name}.py").write_text(ITEMS + body)
    (directory / "notes").write_text("")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "handbook.pages.plugin",
            "-c",
            os.devnull,
            "--rootdir",
            str(directory),
            "-n",
            "3",
            "--dist",
            "loadfile",
            "-q",
            str(directory),
        ],
        env={**os.environ, "NOTES": str(directory / "notes"), "HANDBOOK_TURNS": str(directory)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "12 passed" in done.stdout, done.stdout + done.stderr
    ran = [json.loads(line) for line in (directory / "notes").read_text().splitlines()]
    assert len(ran) == 12
    measured = [one for one in ran if one[0] == "test_z"]
    return sum(b < other[2] and other[1] < e for _, b, e in measured for other in ran if other[0] != "test_z")


def test_nothing_runs_beside_an_item_that_measures(tmp_path: Path) -> None:
    assert overlaps(tmp_path, ALONE) == 0


def test_without_the_mark_they_run_side_by_side(tmp_path: Path) -> None:
    assert overlaps(tmp_path, ALONE.replace("@pytest.mark.alone\n", "")) > 0
