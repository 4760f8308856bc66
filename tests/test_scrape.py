"""Reading what a node exports, and what is no such thing."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_process import RECORDINGS, NodeProcess

from handbook.monitoring import scrape
from handbook.monitoring.scrape import NoScrape

IDLE = (RECORDINGS / "metrics-idle-executor.txt").read_bytes()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def test_a_real_nodes_scrape_is_read_with_every_family_and_sample() -> None:
    found = scrape.read(IDLE, "x")
    assert (len(found.families), found.samples, found.size) == (86, 240, 15536)
    lines = [line for line in IDLE.decode().splitlines() if not line.startswith("#")]
    names = [series.name for family in found.families.values() for series in family.series]
    assert sorted(names) == sorted(re.split(r"[{ ]", line)[0] for line in lines)
    assert {name: family.type for name, family in found.families.items()} == dict(
        re.findall(r"^# TYPE (\S+) (\S+)$", IDLE.decode(), re.M)
    )
    assert found.families["treasury_executor_last_tick_seconds"].series[0].labels == {}
    assert [name for name, family in found.families.items() if not family.series] == ["tx_rejected_total"]


def test_a_counter_keeps_the_name_it_was_written_with() -> None:
    """The parser gives every counter the ending _total; two of the node's have none."""
    families = scrape.read(IDLE, "x").families
    for name in ("dex_trade_volume", "partition_recover_blocks", "dex_orders_total"):
        assert (families[name].type, families[name].series[0].name) == ("counter", name)


def test_labels_come_out_as_they_went_in(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        found = scrape.read(scrape.fetch(node.metrics), node.metrics)
    assert len(found.families["treasury_disbursement_backlog"].series) == 8
    text = b'# TYPE a_b_total counter\na_b_total{x="q\\"\\\\\\n}",y="\xc3\xa9"} 1\n'
    (series,) = scrape.read(text, "x").families["a_b_total"].series
    assert series.labels == {"x": 'q"\\\n}', "y": "é"}


def test_a_series_that_stands_there_twice_is_told() -> None:
    text = b'# TYPE a gauge\na{x="1"} 1\na{x="2"} 1\na{x="1"} 2\n'
    assert scrape.read(text, "x").families["a"].twice == ("a",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "x: is empty"),
        (b"\n\n", "x: is empty"),
        (b"<!DOCTYPE html><html></html>\n", "x: is a web page, not metrics"),
        (b"  <html>\n", "x: is a web page, not metrics"),
        (b'{"jsonrpc":"2.0"}\n', "x: is JSON, not metrics"),
        (b'"# HELP a\\n"\n', "x: is JSON, not metrics"),
        (b"method not allowed\n", "x, line 1: not Prometheus' text format: 'method not allowed'"),
        (b"a 1\nb{x=1} 2\n", "x, line 2: not Prometheus' text format: 'b{x=1} 2'"),
        (b"a 1\nb one\n", "x, line 2: not Prometheus' text format: 'b one'"),
        (b'a{x="1",x="2"} 1\n', "x, line 1: not Prometheus' text format"),
        (b"# TYPE a gauge\n# TYPE a gauge\na 1\n", "x, line 2: not Prometheus' text format: '# TYPE a gauge'"),
        (b"a 1\ntreasury_bal", "x, line 2: cut off: the last line does not end: 'treasury_bal'"),
        (IDLE[:9000], "cut off: the last line does not end"),
        (b"# TYPE a gauge\n", "x: holds no sample"),
        (b"a 1\n\xff\n", "x: not UTF-8: invalid start byte at byte 4"),
    ],
)
def test_what_is_no_scrape_is_said_with_its_line(body: bytes, message: str) -> None:
    with pytest.raises(NoScrape) as error:
        scrape.read(body, "x")
    assert message in str(error.value)


@contextlib.contextmanager
def answering(*parts: bytes, hold: float = 0, pause: float = 0) -> Iterator[str]:
    """A server for one connection that sends `parts`; `hold` seconds later it closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    stop.wait(pause)
                stop.wait(hold)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/metrics"
        stop.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([HEAD % 100 + b"a 1\n"], "the answer was cut off after 4 bytes"),
        ([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], "answered 404 Not Found, not 200"),
        ([b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], "answered 302 Found, not 200"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "does not speak HTTP"),
        ([b""], "does not speak HTTP"),
    ],
)
def test_an_answer_that_is_none_is_said(parts: list[bytes], message: str) -> None:
    with answering(*parts) as url, pytest.raises(NoScrape) as error:
        scrape.fetch(url)
    assert f"{url}: {message}" in str(error.value)
    assert "hint: " in str(error.value)


def test_a_node_that_is_silent_or_drips_is_not_waited_for() -> None:
    with answering(hold=60) as url, pytest.raises(NoScrape, match=r"did not answer within 0.3 s\n  hint: .*one connec"):
        scrape.fetch(url, seconds=0.3)
    started = time.monotonic()
    drops = [HEAD % 1000, *([b"a 1\n"] * 200)]
    with answering(*drops, pause=0.1) as url, pytest.raises(NoScrape, match="had not sent its whole answer"):
        scrape.fetch(url, seconds=1)
    assert time.monotonic() - started < 15, "the drops would have gone on for 20 s"


@pytest.mark.parametrize("url", ["", "127.0.0.1:9898", "ftp://127.0.0.1/", "http://[::1", "http://127.0.0.1:x/"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(NoScrape, match=r"is no http:// address\n  hint: such as"):
        scrape.fetch(url)


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoScrape, match=r"nobody answers: .*refused\n  hint: does the node run"):
        scrape.fetch(f"http://127.0.0.1:{port}/metrics")


def test_a_body_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "LARGEST", 1000)
    with answering(HEAD % 10_000 + b"a 1\n" * 2500) as url, pytest.raises(NoScrape, match="more than 1000 bytes"):
        scrape.fetch(url)
