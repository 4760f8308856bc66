"""A load on the treasury methods, and an audit of what the node acknowledged.

    locust -f tests/load/treasury_load_test.py --headless -u 1300 -r 100 -t 60s --host http://127.0.0.1:3030

One user waits 1 to 5 seconds between calls and submits in one call of four, so 12 users make one submission a second.
Run it in one process: the audit needs every acknowledged id. It writes; a node that holds other records is refused,
because a node keeps the 1 024 newest records and ten seconds of this load push all others out.

Environment: TREASURY_LOAD_TARGET (acknowledged submissions per second, 100), TREASURY_LOAD_P99 (seconds, 1),
TREASURY_LOAD_FLOOR (submissions, 500), TREASURY_LOAD_WAIT (seconds between two calls of a user, `1,5`),
TREASURY_LOAD_RESULT (file for the result as JSON), TREASURY_LOAD_OVERWRITE (any text: run on a node with records).
Exit status: 0 when every line of the verdict says passed, otherwise 1.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from audit import LIST, SUBMIT, TIMEOUT, Audit, records  # beside this file: locust puts its directory on the path
from locust import FastHttpUser, between, events, task  # HttpUser spends more time on a call than the mock does
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

TARGET = float(os.environ.get("TREASURY_LOAD_TARGET", "100"))
P99 = float(os.environ.get("TREASURY_LOAD_P99", "1"))
FLOOR = int(os.environ.get("TREASURY_LOAD_FLOOR", "500"))
WAIT = tuple(float(seconds) for seconds in os.environ.get("TREASURY_LOAD_WAIT", "1,5").split(","))
AUDIT_EVERY = 1.0
"""Seconds between two read-backs: at 100 submissions/s a record is kept for ten."""
RUN = uuid.uuid4().hex[:8]
MARK = "load test "
"""Begins the memo of every record this program makes; what follows is the run and a number."""


@dataclass
class Measured:
    """Seconds throughout. Only calls after the last user was started count, errors excepted."""

    began: float = math.inf
    """On the monotonic clock, as all times here; the last user was started."""
    ended: float = math.inf
    submitted: list[float] = field(default_factory=list)
    """When each acknowledgement came."""
    latencies: dict[str, list[float]] = field(default_factory=lambda: {SUBMIT: [], LIST: []})
    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """How often, by text."""
    reader: Any = None
    """The greenlet that reads back while the load runs."""

    def sustained(self) -> float:
        """Acknowledged submissions per second in the slower half, so that a stall does not hide behind a burst."""
        half = (self.ended - self.began) / 2
        if not 0 < half < math.inf:
            return 0.0
        first = sum(self.began <= at < self.began + half for at in self.submitted)
        second = sum(self.began + half <= at <= self.ended for at in self.submitted)
        return min(first, second) / half

    def p99(self, method: str) -> float:
        """By nearest rank; infinite when nothing was measured."""
        found = sorted(self.latencies[method])
        return found[math.ceil(0.99 * len(found)) - 1] if found else math.inf


audit, measured, numbers = Audit(), Measured(), itertools.count(1)


class TreasuryUser(FastHttpUser):
    """Submits disbursements and lists queued ones, one to three."""

    wait_time = between(*WAIT)
    connection_timeout = network_timeout = TIMEOUT
    max_retries = 0  # a repeated submission is a second disbursement

    @task
    def submit_disbursement(self) -> None:
        memo = f"{MARK}{RUN} {next(numbers)}"
        result = self.call(SUBMIT, {"payload": payload(memo)})
        if result is not None:
            audit.acknowledged.append((result["id"], memo))
            measured.submitted.append(time.monotonic())

    @task(3)
    def list_disbursements(self) -> None:
        self.call(LIST, {"status": "Queued"})

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """The result, or None after an error: also one inside an answer with HTTP status 200."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        with self.client.post("/", json=body, name=method, catch_response=True) as answer:
            try:
                envelope = answer.json()
                if answer.status_code == 200 and "error" not in envelope:
                    wanted = int if method == SUBMIT else list
                    if isinstance(envelope["result"]["id" if method == SUBMIT else "disbursements"], wanted):
                        return envelope["result"]  # type: ignore[no-any-return]
                answer.failure(f"HTTP {answer.status_code} {json.dumps(envelope.get('error', envelope))[:120]}")
            except (ValueError, LookupError, TypeError, AttributeError):
                answer.failure(f"HTTP {answer.status_code} without a JSON-RPC answer ({answer.error or 'unreadable'})")
        return None


def payload(memo: str) -> dict[str, Any]:
    """A submission every check of the node accepts; it is due in an epoch that no run reaches."""
    return {
        "proposal": {"title": "Load test", "summary": "Made by treasury_load_test.py; roll back at will"},
        "disbursement": {
            "destination": "tb1loadtest",
            "amount": 1,
            "memo": memo,
            "scheduled_epoch": 1_000_000_000,
            "expected_receipts": [],
        },
    }


@events.init.add_listener
def refuse(environment: Environment, **_: Any) -> None:
    """Before anything is sent: the wrong runner, no node, or a node with records of somebody else."""
    if isinstance(environment.runner, MasterRunner | WorkerRunner):
        raise SystemExit("run it in one process: the audit needs every acknowledged id")
    if not environment.host:
        raise SystemExit("no node named\n  hint: --host http://127.0.0.1:3030")
    environment.stop_timeout = TIMEOUT + 1  # late answers count: a call still open at the end would hide its latency
    try:
        strangers = sum(not memo.startswith(MARK) for memo in records(environment.host).values())
    except (OSError, LookupError, ValueError) as error:
        raise SystemExit(f"{environment.host} does not answer {LIST}: {error}") from None
    if strangers and not os.environ.get("TREASURY_LOAD_OVERWRITE"):
        raise SystemExit(
            f"{environment.host} holds disbursements of others ({strangers}), which this load pushes out of the store\n"
            "  hint: take a node of your own, or set TREASURY_LOAD_OVERWRITE=yes"
        )


@events.spawning_complete.add_listener
def begin(**_: Any) -> None:
    measured.began = time.monotonic()


@events.test_start.add_listener
def start_reading_back(environment: Environment, **_: Any) -> None:
    def loop() -> None:
        while True:
            gevent.sleep(AUDIT_EVERY)
            read_back(environment)

    measured.reader = gevent.spawn(loop)


def read_back(environment: Environment) -> None:
    try:
        audit.read_back(str(environment.host))
    except (OSError, LookupError, ValueError) as error:
        count_error(f"read-back: {error}")


@events.request.add_listener
def record(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
    measured.requests += 1
    if exception:
        count_error(f"{name}: {exception}")
    if time.monotonic() - response_time / 1000 >= measured.began:
        measured.latencies[name].append(response_time / 1000)


@events.user_error.add_listener
def raised(exception: Exception, **_: Any) -> None:
    count_error(f"{type(exception).__name__}: {exception}")


def count_error(text: str) -> None:
    measured.errors[text] = measured.errors.get(text, 0) + 1


@events.test_stopping.add_listener
def end(**_: Any) -> None:
    measured.ended = time.monotonic()


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Prints the verdict, writes it where TREASURY_LOAD_RESULT says, and sets the exit status."""
    if measured.reader is None:
        return
    measured.reader.kill()
    read_back(environment)
    criteria = verdict()
    passed = all(held for held, _ in criteria.values())
    for name, (held, text) in criteria.items():
        print(f"{name:<8} {'passed' if held else 'FAILED'}  {text}")
    for text, times in sorted(measured.errors.items(), key=lambda one: -one[1])[:5]:
        print(f"  {times} × {text}")
    print(f"verdict  {'passed' if passed else 'FAILED'}", flush=True)
    if path := os.environ.get("TREASURY_LOAD_RESULT"):
        lines = {name: {"passed": held, "found": text} for name, (held, text) in criteria.items()}
        Path(path).write_text(json.dumps({"passed": passed, **lines, "errors_found": measured.errors}, indent=1) + "\n")
    environment.process_exit_code = 0 if passed else 1


def verdict() -> dict[str, tuple[bool, str]]:
    """By criterion: whether it held, and what was found."""
    rate, submit, listing = measured.sustained(), measured.p99(SUBMIT), measured.p99(LIST)
    count, errors, lost = len(audit.acknowledged), sum(measured.errors.values()), len(audit.lost)
    return {
        "rate": (rate >= TARGET, f"{rate:.1f} submissions/s acknowledged in the slower half, wanted {TARGET:g}"),
        "latency": (
            max(submit, listing) < P99,
            f"p99 {submit * 1000:.0f} ms submit, {listing * 1000:.0f} ms list, wanted under {P99 * 1000:g} ms",
        ),
        "errors": (not errors, f"{errors} in {measured.requests} calls, wanted none"),
        "volume": (count >= FLOOR, f"{count} submissions acknowledged, wanted at least {FLOOR}"),
        "audit": (
            count > 0 and not lost and not audit.duplicates,
            f"{audit.stored} of {count} read back, {lost} lost, {audit.duplicates} ids given twice, "
            f"{audit.expired} past retention",
        ),
    }
