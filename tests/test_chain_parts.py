"""The parts that chains are made of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from handbook import facts
from handbook.chain import config, link, squeeze
from handbook.chain.faults import FAULTS
from handbook.chain.host import Host, may_mount
from handbook.chain.process import wait_until
from handbook.chain.recorder import Recorder
from handbook.chain.result import Result, read, write
from handbook.chain.table import table
from handbook.chain.walk import Course
from handbook.document import Unreadable


@pytest.mark.parametrize(
    ("query", "short"),
    [
        ("rate(a[5m])", "rate(a[4330ms])"),
        ("x unless x offset 1h", "x unless x offset 15000ms"),
        ("max_over_time(a:5m[1h:30s]) > 300", "max_over_time(a:5m[15000ms:1369ms]) > 300"),
        ('a{b="5m"} > 5e3 # 5m', 'a{b="5m"} > 5e3 # 5m'),
        ('scrape_duration_seconds{job="n"} > 5', 'scrape_duration_seconds{job="n"} > 0.559'),
        ("treasury:lag:mean1h > 120", "treasury:lag:mean1h > 120"),
    ],
)
def test_waits_and_windows_are_squeezed_and_thresholds_are_not(query: str, short: str) -> None:
    assert squeeze.expression(query) == short


def test_the_order_of_durations_is_kept() -> None:
    lengths = ["0s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "1h", "1d"]
    short = [squeeze.seconds(squeeze.squeeze(length)) for length in lengths]
    assert short == sorted(set(short))
    assert short[0] == 0 and short[-2] == 15


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        timed = (*squeeze.ROUTE_TIMES, "resolve_timeout")
        return {name: _without_times(one) for name, one in value.items() if name not in timed}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    yield found
    found.stop()


def test_routes_inhibitions_and_texts_are_the_shipped_ones(tmp_path: Path, recorder: Recorder) -> None:
    config.alertmanager(config.MONITORING, tmp_path, recorder)
    shipped = yaml.safe_load((config.MONITORING / "alertmanager.yml").read_text())
    tried = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())
    for part in ("route", "inhibit_rules", "templates"):
        assert _without_times(tried[part]) == _without_times(shipped[part])
    assert [one["name"] for one in tried["receivers"]] == [one["name"] for one in shipped["receivers"]]
    for before, after in zip(shipped["receivers"], tried["receivers"], strict=True):
        assert after["webhook_configs"]
        for kind in ("slack_configs", "pagerduty_configs"):
            for one, other in zip(before.get(kind, []), after.get(kind, []), strict=True):
                changed = {name for name in {**one, **other} if one.get(name) != other.get(name)}
                assert changed <= {"api_url_file", "routing_key_file", "url"}
    outside = [line for line in (tmp_path / "alertmanager.yml").read_text().splitlines() if "://" in line]
    assert outside and all(f"url: {recorder.url}" in line for line in outside)


def test_the_scrape_is_the_shipped_one(tmp_path: Path) -> None:
    config.prometheus(config.MONITORING, tmp_path, "127.0.0.1:9")
    shipped = yaml.safe_load((config.MONITORING / "prometheus.yml").read_text())
    tried = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert tried["global"]["external_labels"] == shipped["global"]["external_labels"]
    for before, after in zip(shipped["scrape_configs"], tried["scrape_configs"], strict=True):
        kept = {name for name in before if name not in ("static_configs", *squeeze.SCRAPE_TIMES)}
        assert kept and {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_receiver_that_nobody_stands_in_for_is_an_error(tmp_path: Path, recorder: Recorder) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text("route: {receiver: mail}\nreceivers:\n- name: mail\n  email_configs: [{to: a@b.example}]\n")
    with pytest.raises(Unreadable, match=r"alertmanager\.yml:4: nobody stands in for email_configs"):
        config.alertmanager(tmp_path, tmp_path, recorder)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", "no address: not under"),
        ("https://elsewhere.example/runbooks/node-metrics-missing/", "not under"),
        (f"{facts.SITE_URL}runbooks/gone/", "runbooks/ has no page for it"),
        (f"{facts.SITE_URL}runbooks/_template/", "runbooks/ has no page for it"),
        (f"{facts.SITE_URL}runbooks/node-metrics-missing", "runbooks/ has no page for it"),
        (f"{facts.SITE_URL}runbooks/node-metrics-missing/#gone", "has no anchor gone"),
    ],
)
def test_a_dead_link_is_found(url: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        link.opens(url)


def test_a_link_to_a_heading_opens() -> None:
    url = f"{facts.SITE_URL}runbooks/node-metrics-missing/#confirm"
    assert link.opens(url) == "runbooks/node-metrics-missing.md#confirm"


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    course = Course("A", "info", "what", "127.0.0.1:1", 1.0, 2.0, 3.0, 4.0, ["slack"], "runbooks/a.md")
    found = Result("2026-01-01T00:00:00Z", 60.0, 17.0, (course,), ())
    file = tmp_path / "chain.json"
    assert read(file) is None
    write(found, file)
    assert read(file) == found
    file.write_text('{"format": 0}')
    with pytest.raises(ValueError, match="hint: remove it and run"):
        read(file)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_hosts_disk_log_and_backup_are_what_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    """Also where nothing may be mounted, and the disk is two lines of text."""
    real = allowed and may_mount()
    monkeypatch.setattr("handbook.chain.host.may_mount", lambda: real)
    host = Host(tmp_path, config.MONITORING / "node_textfile.sh")
    try:
        assert host.real_disk == real
        assert (_share(host), _gauge(host, 'the_block_data_bytes{part="log"}')) == (1.0, 1)
        host.fill_disk(0.97)
        host.grow_log(10**9)
        host.backup(90_000)
        assert 0 < _share(host) < 0.05
        wait_until("the log grown", lambda: _gauge(host, 'the_block_data_bytes{part="log"}') == 10**9 + 1)
        age = time.time() - _gauge(host, "the_block_backup_last_success_timestamp_seconds")
        assert 90_000 <= age < 90_300
        host.fill_disk(0)
        assert _share(host) == 1.0
        assert [flow.failed for flow in host.flows] == [None]
    finally:
        host.close()


def _gauge(host: Host, series: str) -> float:
    with urlopen(f"http://{host.instance}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(series))


def _share(host: Host) -> float:
    return _gauge(host, "node_filesystem_avail_bytes") / _gauge(host, "node_filesystem_size_bytes")


def test_the_page_shows_every_fault_and_what_was_measured() -> None:
    unmeasured = table(None)
    assert unmeasured.startswith("Not measured on this checkout: `handbook chain` measures it.")
    rows = [line for line in unmeasured.splitlines() if line.startswith("| [")]
    assert len(rows) == len(FAULTS) + 3  # two alerts for want of a target, and the watchdog
    assert all(row.endswith("|  |  |") for row in rows)
    first, second = FAULTS[:2]
    good = Course(first.alert, "critical", first.what, "127.0.0.1:1", 1.0, 2.04, 3.0, 4.0, ["slack"], "runbooks/a.md")
    bad = Course(second.alert, "critical", second.what, "127.0.0.1:2", problems=["not in time"])
    measured = table(Result("2026-01-01T00:00:00Z", 60.4, 17.0, (good, bad), ("x fired",)))
    assert measured.startswith(
        "Measured 2026-01-01T00:00:00Z: 1 of 2 alerts reached their people and went again, in 60 s. Stray alerts: 1."
    )
    assert f"{first.what} | pagerduty, treasury-team | 2.0 | 4.0 |" in measured
    assert f"{second.what} | pagerduty, treasury-team | **failed** |  |" in measured
