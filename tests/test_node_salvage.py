"""A damaged log loses what was damaged, and nothing else."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest
from click.testing import CliRunner
from node_process import ask, fresh_node, payload

from handbook.__main__ import main
from handbook.node import salvage as salvaging
from handbook.node.failure import StartFailure
from handbook.node.log import EventLog, encode_state
from handbook.node.salvage import APART, Salvaged, salvage

COUNT = 400
EVENTS = 2 + 2 * COUNT
"""Clock, accrual, and of each submission the record and its entry in the history."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's directory with an accrual, COUNT submissions, a snapshot, no checkpoint; as a killed node leaves it."""
    directory = tmp_path_factory.mktemp("source")
    with fresh_node(directory / "live", treasury_balance=5) as node:
        for number in range(COUNT):
            ask(node, "gov.treasury.submit_disbursement", payload(memo=f"memo {number} " + "x" * 50))
            if number == 199:
                ask_control(node, "mock.snapshot")
        data = node.config.data_dir
        (data / "config").mkdir()
        (data / "config" / "default.toml").write_text("[rpc]\n")
        node.commit()
        shutil.copytree(data, directory / "node-data")
    return directory / "node-data"


def ask_control(node: object, method: str) -> None:
    from handbook.node import control

    control.METHODS[method](node, {})  # type: ignore[arg-type]


def merged(source: Path, directory: Path) -> Path:
    """A copy whose write-ahead log is in the file."""
    target = directory / "node-data"
    shutil.copytree(source, target)
    db = sqlite3.connect(target / "node.sqlite")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return target


def rescued(data: Path, to: Path) -> tuple[Salvaged, EventLog]:
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    found = salvage(data, to)
    after = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before
    return found, EventLog(to / "node.sqlite")


def test_a_whole_log_is_kept_whole(source: Path, tmp_path: Path) -> None:
    found, log = rescued(merged(source, tmp_path), tmp_path / "new")
    whole = EventLog(merged(source, tmp_path / "again") / "node.sqlite")
    assert found == Salvaged(EVENTS, EVENTS, 0, 0, 1, 0, "")
    assert encode_state(log.state) == encode_state(whole.state)
    assert (tmp_path / "new" / "config" / "default.toml").read_text() == "[rpc]\n"
    assert not (tmp_path / "new" / APART).exists()
    log.db.close(), whole.db.close()


def test_events_of_the_write_ahead_log_are_kept(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "node-data"
    shutil.copytree(source, copy)
    assert (copy / "node.sqlite-wal").stat().st_size
    found, log = rescued(copy, tmp_path / "new")
    assert found.reached == EVENTS
    log.db.close()


def event_root(file: Path) -> int:
    """Number of the page that leads to all events; the first is 1."""
    db = sqlite3.connect(file)
    found = int(db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()[0])
    db.close()
    return found


def changed(sql: str) -> Callable[[Path], None]:
    def do(data: Path) -> None:
        db = sqlite3.connect(data / "node.sqlite")
        db.execute(sql)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()

    return do


def overwritten(at: int, data: bytes) -> Callable[[Path], None]:
    def do(directory: Path) -> None:
        with (directory / "node.sqlite").open("r+b") as file:
            file.seek(at)
            file.write(data)

    return do


CASES = [
    (changed("UPDATE event SET body = body || ' ' WHERE seq = 301"), (300, EVENTS - 301, 1, 1)),
    (changed("DELETE FROM event WHERE seq BETWEEN 101 AND 110"), (100, EVENTS - 110, 10, 1)),
    (changed("UPDATE snapshot SET state = x'00'"), (EVENTS, 0, 0, 0)),
    (changed("DELETE FROM event WHERE seq = 1"), (0, EVENTS - 1, 1, 1)),
    (overwritten(0, b"\0" * 4096), (EVENTS, 0, 0, 1)),
    (overwritten(0, b"not a database at all"), (EVENTS, 0, 0, 1)),
    (overwritten(18, b"\x09\x09"), (EVENTS, 0, 0, 1)),
]


@pytest.mark.parametrize(("damage", "kept"), CASES)
def test_only_the_damage_is_lost(
    source: Path, tmp_path: Path, damage: Callable[[Path], None], kept: tuple[int, ...]
) -> None:
    data = merged(source, tmp_path)
    damage(data)
    found, log = rescued(data, tmp_path / "new")
    assert (found.reached, found.apart, found.lost, found.snapshots) == kept
    assert log.seq == found.reached
    if found.apart:
        assert len((tmp_path / "new" / APART).read_text().splitlines()) == found.apart
    log.db.close()


@pytest.mark.parametrize("count", [12, pytest.param(600, marks=pytest.mark.long)])
def test_whatever_is_damaged_nothing_readable_is_lost_and_nothing_made_up(
    source: Path, tmp_path: Path, count: int
) -> None:
    """Every event that is kept is one that was stored, in its place; at most what lay on the damaged pages is lost."""
    chance = random.Random(11)
    base = merged(source, tmp_path)
    stored = dict(sqlite3.connect(base / "node.sqlite").execute("SELECT seq, body FROM event"))
    size = (base / "node.sqlite").stat().st_size
    root = event_root(base / "node.sqlite")
    results = set()
    for number in range(count):
        data, to = tmp_path / f"damaged-{number}", tmp_path / f"new-{number}"
        shutil.copytree(base, data)
        kind = chance.choice(["flip", "page", "cut"])
        if kind == "cut":
            with (data / "node.sqlite").open("r+b") as file:
                file.truncate(chance.randrange(4096, size))
        else:
            at = chance.randrange(size) if kind == "flip" else chance.randrange(size // 4096) * 4096
            overwritten(at, chance.randbytes(1 if kind == "flip" else 4096))(data)
        try:
            found, log = rescued(data, to)
        except StartFailure as failure:
            assert "expected" in str(failure)
            assert kind == "cut" or at // 4096 == root - 1, "only without the root of the events is all lost"
            results.add("nothing")
            continue
        kept = dict(log.db.execute("SELECT seq, body FROM event"))
        assert kept == {seq: stored[seq] for seq in kept}
        if kind != "cut":
            assert found.reached + found.apart >= COUNT + 1 - 60 or found.reached < COUNT
        results.add("all" if found.reached == EVENTS else "some")
        log.db.close()
        shutil.rmtree(to), shutil.rmtree(data)
    assert {"all", "some"} <= results


def test_a_log_that_was_pruned_and_damaged_at_its_beginning(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first numbers are gone, so looking for them must not use up the patience for those that are there."""
    monkeypatch.setattr(salvaging, "GIVE_UP", 200)
    data = merged(source, tmp_path)
    changed("DELETE FROM event WHERE seq < 500")(data)
    log = EventLog(merged(source, tmp_path / "whole") / "node.sqlite")
    blob = encode_state(log.state)
    log.db.close()
    db = sqlite3.connect(data / "node.sqlite")
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (499, blob, crc32(blob)))
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    file = data / "node.sqlite"
    root = event_root(file)
    page = file.read_bytes()[(root - 1) * 4096 : root * 4096]
    cell = int.from_bytes(page[12:14], "big")
    leaf = int.from_bytes(page[cell : cell + 4], "big")
    overwritten((leaf - 1) * 4096, b"\xff" * 4096)(data)
    old = salvaging._readable(file, data)
    found = [row[0] for row in salvaging._rows(old, "event", "seq", salvaging._newest(old))]
    old.close()
    assert sorted(found) == list(range(min(found), EVENTS + 1)) and 500 < min(found) < 540


def test_the_command_says_what_it_kept(source: Path, tmp_path: Path) -> None:
    data = merged(source, tmp_path)
    changed("DELETE FROM event WHERE seq = 300")(data)
    result = CliRunner().invoke(main, ["salvage", str(data)])
    assert result.exit_code == 1, result.output
    assert "the state of event 299, 299 events, 1 snapshots" in result.output
    assert "damage: event 300 is missing; what came after event 802 is not known" in result.output
    assert (
        "lost before: 1 events, 0 snapshots" in result.output
        and f"behind the gap: {EVENTS - 300} events" in result.output
    )
    for again in (["salvage", str(data)], ["salvage", str(tmp_path / "nowhere")]):
        result = CliRunner().invoke(main, again)
        assert result.exit_code == 2 and "expected" in result.output and "Traceback" not in result.output


def test_a_running_node_is_left_alone(tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        with pytest.raises(StartFailure, match="in use"):
            salvage(node.config.data_dir, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_half_made_is_left(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = merged(source, tmp_path)
    monkeypatch.setattr(salvaging, "_rebuild", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StartFailure, match="No space left"):
        salvage(data, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node-data"]
