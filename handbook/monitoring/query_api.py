"""Questions to a Prometheus over its HTTP API, and plain words for what goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import httpx
import promql_parser

from handbook.problem import Problem

MOST_POINTS = 5000
"""Of one series in one answer; Prometheus refuses 11 000. Longer ranges are asked for in parts."""

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs of name and value, the metric's name among them as `__name__`."""


class QueryFailed(Exception):
    """Prometheus is not there, or does not answer the question. `problem` says which, and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class QueryApi:
    """The API at `url`, such as `http://127.0.0.1:9090`. Every method raises QueryFailed."""

    url: str
    timeout: float = 120.0

    def now(self, query: str, at: float | None = None) -> list[tuple[Labels, float]]:
        """The instant vector of `query`, in Prometheus' order; a scalar counts as one sample without labels."""
        data = self._get("query", {"query": query} | ({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [((), float(data["result"][1]))]
        return [(_labels(one["metric"]), float(one["value"][1])) for one in data["result"]]

    def over(self, query: str, start: float, end: float, step: float) -> dict[Labels, list[tuple[float, float]]]:
        """Samples of every series of `query` from `start` to `end`, both included: pairs of Unix seconds and value."""
        found: dict[Labels, list[tuple[float, float]]] = {}
        steps = math.floor((end - start) / step + 1e-9)
        for first in range(0, steps + 1, MOST_POINTS):
            last = min(first + MOST_POINTS - 1, steps)
            part = {"query": query, "start": start + first * step, "end": start + last * step, "step": step}
            for one in self._get("query_range", part)["result"]:
                samples = [(float(at), float(value)) for at, value in one["values"]]
                found.setdefault(_labels(one["metric"]), []).extend(samples)
        return found

    def retention(self) -> float | None:
        """How far back it keeps samples, in seconds; None where only a size bounds it."""
        told = str(self._get("status/runtimeinfo", {}).get("storageRetention", "")).split(" or ")
        for one in told:
            try:
                return float(promql_parser.parse_duration(one).total_seconds())
            except ValueError:
                continue
        return None

    def _get(self, path: str, params: dict[str, Any]) -> Any:
        try:
            said = httpx.request(
                "POST" if params else "GET", f"{self.url}/api/v1/{path}", data=params or None, timeout=self.timeout
            )
            document = said.json()
            failed = document["status"] != "success"
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            hint = "as in http://127.0.0.1:9090"
            raise QueryFailed(Problem(self.url, "this is no address of a Prometheus", hint)) from None
        except httpx.TimeoutException:
            message = f"no answer within {self.timeout:g} s"
            raise QueryFailed(Problem(self.url, message, "ask for a shorter window, or when it is idle")) from None
        except httpx.HTTPError as error:
            message = f"no Prometheus answers there: {error}"
            raise QueryFailed(Problem(self.url, message, "curl URL/-/ready says whether it is up")) from None
        except (ValueError, KeyError, TypeError):
            message = f"what answers there is no Prometheus: status {said.status_code}, not its JSON"
            raise QueryFailed(Problem(self.url, message, "give the address of Prometheus, not of Grafana")) from None
        if failed:
            asked = f"\n  asked: {params['query']}" if "query" in params else ""
            raise QueryFailed(Problem(self.url, f"Prometheus refuses: {document.get('error')}{asked}"))
        return document["data"]


def _labels(metric: dict[str, str]) -> Labels:
    return tuple(sorted(metric.items()))
