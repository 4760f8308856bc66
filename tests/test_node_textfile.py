"""The script that tells the host's exporter how old the newest proven backup is, and what grows."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from handbook import facts, tool
from handbook.monitoring import catalogue
from handbook.ports import free_port

SCRIPT = facts.ROOT / "monitoring" / "node_textfile.sh"
OLD, NEW = 1_767_225_600, 1_767_312_000


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Two finished copies, an unfinished newer one, and a tree that a node writes."""
    copy(tmp_path / "copies" / "2026-01-01T0000Z", OLD)
    copy(tmp_path / "copies" / "2026-01-02T0000Z", NEW)
    copy(tmp_path / "copies" / "2026-01-03T0000Z.partial", NEW + 86_400)
    for name, size in {
        "db/default/wal.log": 300,
        "db/default/sst-00000000000000000001.bin": 40,
        "mock/node.sqlite": 5,
        "mock/node.sqlite-wal": 7,
        "default.toml": 11,
    }.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    (tmp_path / "out").mkdir()
    return tmp_path


def copy(directory: Path, taken: int) -> None:
    """As `backup` of docs/BACKUP_AND_RECOVERY.md leaves one: the manifest's time is the time of the stop."""
    directory.mkdir(parents=True)
    (directory / "data").write_text("data\n")
    manifest = directory / "SHA256SUMS"
    manifest.write_text(f"{hashlib.sha256(b'data' + os.linesep.encode()).hexdigest()}  ./data\n")
    os.utime(manifest, (taken, taken))


def run(host: Path, *trees: str) -> subprocess.CompletedProcess[str]:
    out = str(host / "out" / "the_block.prom")
    arguments = [str(SCRIPT), str(host / "copies"), out, *(str(host / tree) for tree in trees or ("tree",))]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def samples(host: Path) -> dict[str, float]:
    lines = (host / "out" / "the_block.prom").read_text().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


BACKUP = "the_block_backup_last_success_timestamp_seconds"


def test_it_tells_the_newest_finished_copy_and_the_bytes_by_part(host: Path) -> None:
    done = run(host)
    assert (done.returncode, done.stderr) == (0, "")
    assert samples(host) == {
        BACKUP: NEW,
        'the_block_data_bytes{part="log"}': 307,
        'the_block_data_bytes{part="tables"}': 45,
        'the_block_data_bytes{part="other"}': 11,
    }


def test_what_it_writes_is_in_the_catalogue_with_the_same_words(host: Path) -> None:
    run(host)
    helps = re.findall(r"^# HELP (\S+) (.*)$", (host / "out" / "the_block.prom").read_text(), re.MULTILINE)
    listed = {m.name: m.help for m in catalogue.load().metrics if m.name.startswith("the_block_")}
    assert dict(helps) == listed
    assert len(helps) == 2


def test_a_damaged_copy_does_not_count(host: Path) -> None:
    (host / "copies" / "2026-01-02T0000Z" / "data").write_text("damaged\n")
    run(host)
    assert samples(host)[BACKUP] == OLD


def test_without_a_proven_copy_it_says_0(host: Path) -> None:
    for damaged in (host / "copies").glob("*Z"):
        (damaged / "data").unlink()
    run(host)
    assert samples(host)[BACKUP] == 0


def test_a_copy_is_proven_once_a_day_and_again_when_its_manifest_changes(host: Path) -> None:
    run(host)
    newest = host / "copies" / "2026-01-02T0000Z"
    (newest / "data").write_text("damaged\n")
    run(host)
    assert samples(host)[BACKUP] == NEW, "its files were read again within the day"
    proven = host / "out" / "the_block.prom.proven"
    yesterday = time.time() - 90_000
    os.utime(proven, (yesterday, yesterday))
    run(host)
    assert samples(host)[BACKUP] == OLD
    with (newest / "SHA256SUMS").open("a") as manifest:
        manifest.write("0" * 64 + "  ./lost\n")
    run(host)
    assert samples(host)[BACKUP] == OLD


def test_an_error_leaves_the_file_as_it_was_and_nothing_beside_it(host: Path) -> None:
    run(host)
    before = (host / "out" / "the_block.prom").read_text()
    done = run(host, "tree", "no-such-tree")
    assert done.returncode == 1
    assert done.stderr == (
        f"node_textfile.sh: {host}/no-such-tree: no such directory; expected one that the node writes\n"
    )
    assert (host / "out" / "the_block.prom").read_text() == before
    assert sorted(file.name for file in (host / "out").iterdir()) == ["the_block.prom", "the_block.prom.proven"]


def test_too_few_arguments_are_refused() -> None:
    done = subprocess.run([str(SCRIPT), "copies"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: node_textfile.sh COPIES OUT.prom TREE...\n")


def test_shellcheck_finds_nothing() -> None:
    said = tool.run("shellcheck", str(SCRIPT))
    assert (said.status, said.output) == (0, "")


def test_the_exporter_exports_it_and_the_file_systems(host: Path) -> None:
    run(host)
    port = free_port()
    exporter = subprocess.Popen(
        [
            tool.program("prometheus-node-exporter"),
            "--collector.disable-defaults",
            "--collector.filesystem",
            "--collector.filesystem.fs-types-exclude=^proc$",
            "--collector.textfile",
            f"--collector.textfile.directory={host / 'out'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        text = scraped(f"http://127.0.0.1:{port}/metrics")
    finally:
        exporter.kill()
        exporter.wait()
    named = {m.name: set(m.labels) for m in catalogue.load().metrics if m.source == "host"}
    assert len(named) == 4
    for name, labels in named.items():
        found = re.search(rf"^{name}(?:{{(.*)}})? \S+$", text, re.MULTILINE)
        assert found, f"{name} is not exported"
        assert set(re.findall(r'(\w+)="', found[1] or "")) == labels
    assert f"{BACKUP} 1.767312e+09" in text
    assert "node_textfile_scrape_error 0" in text


def scraped(url: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline, "the exporter does not answer"
            time.sleep(0.1)
