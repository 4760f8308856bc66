"""Durations made short: one of `d` seconds becomes a quarter of its square root.

An hour becomes 15 s, five minutes 4.3 s, thirty seconds 1.4 s. The order of any two is kept, so a window is still
longer than a scrape and a `for` still longer than an evaluation; short ones shrink least, so that a busy machine does
not miss them. What is squeezed is how long Prometheus and Alertmanager wait and look back. A number in a comparison
stays as it is: the node is made to show it. The one exception is how long a scrape took, which its time-out bounds.
"""

from __future__ import annotations

import re
from math import sqrt
from typing import Any

import promql_parser

SHARE = 0.25
RULE_TIMES = ("for", "keep_firing_for")
SCRAPE_TIMES = ("scrape_interval", "scrape_timeout", "evaluation_interval")
ROUTE_TIMES = ("group_wait", "group_interval", "repeat_interval")
OF_SCRAPE = "scrape_duration_seconds"
TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\#[^\n]*)"""
    r"|(?P<name>[A-Za-z_][\w:]*)"
    r"|(?P<duration>(?:\d+(?:ms|[smhdwy]))+)(?!\w)"
    r"|(?P<number>\d[\w.]*)"
)
"""Of PromQL, as far as durations must be told from names, numbers, strings and comments."""
THRESHOLD = re.compile(rf"({OF_SCRAPE}(?:\{{[^}}]*\}})?\s*[<>]=?\s*)(\d+(?:\.\d+)?)")


def seconds(text: str) -> float:
    """A duration as the configuration writes it: `5m`, `1h30m`, `0s`."""
    return 0.0 if re.fullmatch(r"0(ms|[smhdwy])?", text) else promql_parser.parse_duration(text).total_seconds()


def squeezed(duration: float) -> float:
    """Seconds to seconds."""
    return SHARE * sqrt(duration)


def squeeze(text: str) -> str:
    """`5m` to `4330ms`."""
    return f"{round(1000 * squeezed(seconds(text)))}ms"


def expression(query: str) -> str:
    """A query with its windows, offsets and steps squeezed, and the threshold of a scrape's duration."""
    short = TOKEN.sub(lambda found: squeeze(found[0]) if found["duration"] else found[0], query)
    return THRESHOLD.sub(lambda found: f"{found[1]}{squeezed(float(found[2])):.3f}", short)


def rules(document: dict[str, Any]) -> dict[str, Any]:
    """A rule file."""
    return {"groups": [_group(group) for group in document["groups"]]}


def times(mapping: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The mapping with the named durations squeezed, where it has them."""
    return mapping | {name: squeeze(str(mapping[name])) for name in names if name in mapping}


def _group(group: dict[str, Any]) -> dict[str, Any]:
    short = [times(rule, RULE_TIMES) | {"expr": expression(str(rule["expr"]))} for rule in group["rules"]]
    return times(group, ("interval",)) | {"rules": short}
