"""What a node exports, read once: fetched as Prometheus fetches it, and parsed into families and series."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_fd_to_metric_families

from handbook.problem import Problem

SECONDS = 10.0
"""A node answers within milliseconds; Prometheus waits as long (scrape_timeout in prometheus.yml)."""
LARGEST = 64_000_000
"""Bytes. A body that has not ended by then is no scrape; Prometheus' own limit is in prometheus.yml."""


class NoScrape(Exception):
    """There is nothing to compare. `problem` says where, what and what to do."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        self.problem = Problem(where, message, hint)
        super().__init__(str(self.problem))


@dataclass(frozen=True)
class Series:
    name: str
    """As written: a histogram's ends in _bucket, _sum or _count."""
    labels: dict[str, str]


@dataclass(frozen=True)
class Family:
    name: str
    type: str
    """As the TYPE line says it; untyped without one."""
    series: tuple[Series, ...]
    """Empty for a metric that is declared and has no sample."""

    @property
    def twice(self) -> tuple[str, ...]:
        """Series that stand there more than once: Prometheus keeps one of their values."""
        seen = Counter((one.name, *sorted(one.labels.items())) for one in self.series)
        return tuple(sorted({str(key[0]) for key, count in seen.items() if count > 1}))


@dataclass(frozen=True)
class Scrape:
    families: dict[str, Family]
    """By name, in the order of the text."""
    size: int
    """Bytes of the body."""

    @property
    def samples(self) -> int:
        return sum(len(family.series) for family in self.families.values())


def fetch(url: str, seconds: float = SECONDS) -> bytes:
    """The body at `url`; of `-` what comes on standard input. Raises NoScrape."""
    if url == "-":
        return sys.stdin.buffer.read(LARGEST)
    listener = "is this the node's metrics address? 9898 by convention; 3030 is its RPC, 9090 is Prometheus itself"
    deadline = time.monotonic() + seconds
    body = bytearray()
    try:
        # No proxy: the address is the node's own, as Prometheus would ask it.
        with httpx.Client(trust_env=False, timeout=seconds) as client, client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise NoScrape(url, f"answered {answer.status_code} {answer.reason_phrase}, not 200", listener)
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise NoScrape(url, f"sent more than {LARGEST} bytes and had not ended", listener)
                if time.monotonic() > deadline:
                    raise NoScrape(url, f"had not sent its whole answer after {seconds:g} s: {len(body)} bytes came")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise NoScrape(url, "is no http:// address", "such as http://127.0.0.1:9898/metrics") from None
    except httpx.TimeoutException:
        hint = "the node's listener serves one connection at a time: look for a silent client with `ss -tnp`"
        raise NoScrape(url, f"did not answer within {seconds:g} s", hint) from None
    except httpx.RemoteProtocolError as error:
        if body:
            raise NoScrape(url, f"the answer was cut off after {len(body)} bytes: {error}", "ask again") from None
        raise NoScrape(url, f"does not speak HTTP: {error}", listener) from None
    except httpx.HTTPError as error:
        hint = "does the node run, and with --metrics-addr? a build without the feature telemetry has no listener"
        raise NoScrape(url, f"nobody answers: {error}", hint) from None
    return bytes(body)


def read(body: bytes, where: str) -> Scrape:
    """Raises NoScrape with the line of what is not Prometheus' text format."""
    text = _text(body, where)
    names: dict[str, str] = {}
    line = 0

    def lines() -> Iterator[str]:
        nonlocal line
        for line, content in enumerate(text.split("\n"), start=1):  # noqa: B007  # read when the parser gives up
            if content.startswith("# TYPE ") and len(words := content.split()) == 4:
                if words[2] in names:
                    raise ValueError(f"a second TYPE of {words[2]}")
                names[words[2]] = words[3]
            yield content

    found: dict[str, list[Series]] = {}
    try:
        for family in text_fd_to_metric_families(lines()):  # type: ignore[arg-type]  # it only iterates
            for sample in family.samples:
                name, declared = _names(sample.name, family.name, names)
                found.setdefault(declared, []).append(Series(name, dict(sample.labels)))
    except ValueError as error:
        content = text.split("\n")[line - 1]
        said = f" ({error})" if str(error) else ""
        raise NoScrape(f"{where}, line {line}", f"not Prometheus' text format: {content[:60]!r}{said}") from None
    if not found:
        raise NoScrape(where, "holds no sample", "a node with --metrics-addr exports dozens at once")
    every = dict.fromkeys([*names, *found])
    return Scrape(
        {name: Family(name, names.get(name, "untyped"), tuple(found.get(name, ()))) for name in every}, len(body)
    )


def _text(body: bytes, where: str) -> str:
    """The body as text, once it can be what a node exports."""
    start = body.lstrip()[:15].lower()
    if not start:
        raise NoScrape(where, "is empty", "a node with --metrics-addr exports dozens of samples at once")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise NoScrape(where, "is a web page, not metrics", "the node's metrics address, not a page about it")
    if start.startswith((b"{", b"[", b'"')):
        hint = "of the RPC method `metrics` pass the text on: jq -r .result | handbook metrics --url -"
        raise NoScrape(where, "is JSON, not metrics", hint)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise NoScrape(where, f"not UTF-8: {error.reason} at byte {error.start}") from None
    if not text.endswith("\n"):
        last = text.rsplit("\n", 1)[-1]
        lines = text.count("\n") + 1
        raise NoScrape(f"{where}, line {lines}", f"cut off: the last line does not end: {last[-60:]!r}", "ask again")
    return text


def _names(sample: str, family: str, declared: dict[str, str]) -> tuple[str, str]:
    """Name of the series and of its family as they were written: the parser gives every counter the ending _total."""
    if declared.get(family) == "counter" and sample == f"{family}_total" and sample not in declared:
        return family, family
    for name in (sample, family):
        if name in declared:
            return sample, name
    return sample, sample
