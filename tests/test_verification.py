"""Checks that look like checks: what each of them lets pass, and that ours does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handbook import facts
from handbook.pages.page import read_page
from handbook.target import MockProcess

CASES = Path(__file__).parent / "cases" / "verification"
PAGE = read_page(facts.ROOT / "docs" / "verification.md")

BAD = {  # page: line and message
    "json-without-schema.md": "3: a JSON example names no schema",
    "json-empty.md": "6: not JSON: Expecting value",
    "request-placeholder.md": "7: not JSON: Expecting property name",
    "unclosed-fence.md": "3: this fence (```) is never closed",
    "output-of-nothing.md": "3: an output block, but no block above it ran",
    "wrong-answer.md": "8: $: expected 1000001, got 1000000",
}


def run(*command: str | Path, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )


def verify(node: MockProcess, *names: str) -> subprocess.CompletedProcess[str]:
    at = node.addresses
    assert at.control and at.metrics
    return run(
        sys.executable, "-m", "pytest", "-p", "handbook.pages.plugin", "-p", "no:cacheprovider", "-q",
        "--rootdir", facts.ROOT, "-c", facts.ROOT / "pyproject.toml",
        "--node", at.node, "--control", at.control, "--metrics", at.metrics, *(CASES / name for name in names),
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(mock_process: MockProcess) -> subprocess.CompletedProcess[str]:
    """One run over all bad pages."""
    return verify(mock_process, *sorted(BAD))


def shell(source: str, *arguments: str | Path) -> str:
    done = run("bash", "-c", f"set -euo pipefail\n{source}", "bash", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def block(starts: str) -> str:
    """The source of the page's only bash block that begins so."""
    found = [b.text for b in PAGE.blocks if b.lang == "bash" and b.text.startswith(starts)]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_page_fails_with_page_and_line(name: str, judged: subprocess.CompletedProcess[str]) -> None:
    assert f"tests/cases/verification/{name}:{BAD[name]}" in judged.stdout


def test_nothing_else_on_the_bad_pages_fails(judged: subprocess.CompletedProcess[str]) -> None:
    assert judged.returncode == 1
    assert f"{len(BAD)} failed, 1 passed" in judged.stdout


def test_a_sound_page_passes(mock_process: MockProcess) -> None:
    done = verify(mock_process, "sound.md")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_every_case_is_used() -> None:
    assert {p.name for p in CASES.glob("*.md")} == {*BAD, "sound.md"}


def test_jq_rejects_a_good_page_and_accepts_an_empty_file(tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.touch()
    assert run("jq", "empty", CASES / "sound.md").returncode != 0
    assert run("jq", "empty", empty).returncode == 0


def test_pandoc_accepts_a_fence_that_is_never_closed(tmp_path: Path) -> None:
    assert run("pandoc", CASES / "unclosed-fence.md", "-t", "plain", "-o", tmp_path / "out").returncode == 0


def test_the_count_comes_from_cargos_result_lines_and_not_from_lines_with_ok_in_them() -> None:
    log = CASES / "cargo-test.log"
    seeds = shell('grep -c "test .*ok" "$1"', log)
    ours = shell(block("passed() ") + '\npassed "$1"; failed "$1"', log)
    assert (seeds, ours.split()) == ("7", ["3", "1"])


def test_no_result_line_is_no_test_passed(tmp_path: Path) -> None:
    log = tmp_path / "test.log"
    log.write_text("error: no test target named `treasury_lifecycle_test`\n")
    assert shell(block("passed() ") + '\npassed "$1"; failed "$1"', log).split() == ["0", "0"]


@pytest.mark.parametrize(
    ("text", "status", "printed"),
    [
        ("contract-cli gov treasury list\n", 0, "PASS: no tb-cli"),
        ("stb-client\n", 0, "PASS: no tb-cli"),
        ("tb-cli gov treasury list\n", 1, "FAIL: tb-cli is in use"),
        (None, 1, "FAIL: grep ended with 2"),
    ],
)
def test_the_search_for_a_name_tells_not_found_from_not_searched(
    tmp_path: Path, text: str | None, status: int, printed: str
) -> None:
    for name in ("docs", "runbooks", "monitoring"):
        (tmp_path / name).mkdir()
    for name in ("README.md", "CONTRIBUTING.md"):
        (tmp_path / name).touch()
    if text is None:
        shutil.rmtree(tmp_path / "docs")
    else:
        (tmp_path / "docs" / "page.md").write_text(text)
    done = run("bash", "-c", block("retired() "), directory=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, printed)
