"""A week in staging that never was: every series that the alerts rest on, minute by minute, from a seed.

It stands in until somebody has run a real one: with a daily pattern, restarts that reset the counters, and the
incidents below, so that thresholds can be tried and the tuning can be tested. Nothing here was measured on a node.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from handbook.monitoring import catalogue
from handbook.monitoring.query_api import Labels
from handbook.tuning.history import shown

START = 1_767_225_600
"""2026-01-01T00:00:00Z, the mock node's own first second."""
DAYS = 7
END = START + DAYS * 86_400
SEED = 20260101
MARK = f"synthetic week, seed {SEED}: no node was measured"
"""What stands on everything that is made from it."""
NODE: Labels = (("instance", "127.0.0.1:9898"), ("job", "the-block-node"))
HOST: Labels = (("instance", "127.0.0.1:9100"), ("job", "the-block-host"))
DISK: Labels = (("device", "/dev/vda1"), ("fstype", "ext4"), ("mountpoint", "/var/lib/the-block"))
DISK_BYTES = 200e9
REFILL = 900_000
"""BLOCK units on the counter after the refill of each morning."""
PROVIDERS = 12


@dataclass(frozen=True)
class Incident:
    kind: str
    day: int
    """From 1."""
    minute: int
    """Of the day."""
    minutes: int

    def holds(self, minute: int) -> bool:
        """Whether it is going on in that minute of the week."""
        first = (self.day - 1) * 1440 + self.minute
        return first <= minute < first + self.minutes


INCIDENTS = (
    Incident("executor dead", 2, 14 * 60 + 10, 38),
    Incident("executor dead", 5, 3 * 60 + 20, 55),
    Incident("slow chain", 3, 9 * 60, 170),
    Incident("slow chain", 6, 15 * 60, 45),
    Incident("payments refused", 3, 10 * 60, 25),
    Incident("node down", 4, 10 * 60, 4),
    Incident("node down", 7, 2 * 60, 9),
    Incident("no refill", 6, 6 * 60, 600),
    Incident("readings late", 2, 18 * 60, 95),
    Incident("readings forged", 5, 12 * 60, 50),
    Incident("oracle silent", 7, 4 * 60, 40),
    Incident("quorum lost", 4, 16 * 60, 20),
    Incident("dispute", 3, 8 * 60, 500),
    Incident("dispute", 6, 11 * 60, 30),
    Incident("rpc storm", 1, 13 * 60, 30),
    Incident("rpc storm", 5, 17 * 60, 6),
    Incident("scrapes slow", 6, 20 * 60, 25),
    Incident("no backup", 4, 0, 1440),
    Incident("log grows", 5, 9 * 60, 240),
)


@dataclass
class Record:
    """A disbursement on its way; times in seconds from the start of the week."""

    amount: int
    voted: float
    queued: float
    due: float


@dataclass
class Week:
    """The state of the node that is made up. `samples` grows by a minute with each `pass_minute`."""

    dice: random.Random
    samples: dict[tuple[str, Labels], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    counted: dict[tuple[str, Labels], float] = field(default_factory=lambda: defaultdict(float))
    """Counters and histogram buckets; a restart empties it."""
    records: list[Record] = field(default_factory=list)
    balance: float = REFILL
    nonce: int = 0
    failures: int = 0
    disk: float = 0.55 * DISK_BYTES
    data: dict[str, float] = field(default_factory=lambda: {"log": 4e9, "tables": 20e9, "other": 1e8})
    backup: int = START - 79_200
    last_tick: float = START
    credits: int = 40

    def pass_minute(self, minute: int) -> None:
        now = START + minute * 60
        on = {one.kind for one in INCIDENTS if one.holds(minute)}
        busy = 0.15 + 0.85 * max(0.0, math.sin((minute % 1440 - 360) / 1440 * 2 * math.pi)) ** 1.5
        self._host(now, minute, on)
        down = "node down" in on
        self._write("up", now, 0 if down else 1)
        if down:
            self.counted.clear()
            return
        self._executor(now, minute, busy, on)
        self._energy(now, busy, on)
        self._rpc(busy, on)
        for (name, labels), value in sorted(self.counted.items()):
            self.samples[name, (*NODE, *labels)].append((now, value))
        held = sum(name[0] not in ("up",) and name[1][:1] == NODE[:1] for name in self.samples)
        slow = 6.5 if "scrapes slow" in on else 0
        self._write("scrape_duration_seconds", now, round(0.02 + self.dice.expovariate(60) + slow, 4))
        for name in ("scrape_samples_scraped", "scrape_samples_post_metric_relabeling"):
            self._write(name, now, held + 160 + self.dice.randint(0, 6))
        self._write("scrape_series_added", now, self.dice.choice((0, 0, 0, 1)))

    def _executor(self, now: int, minute: int, busy: float, on: set[str]) -> None:
        at, dice = minute * 60.0, self.dice
        for _ in range(_poisson(dice, 0.22 * busy)):
            slow = 7 if "slow chain" in on else 1
            voted = at + dice.uniform(300, 2400)
            queued = voted + dice.uniform(5, 60)
            amount = round(dice.lognormvariate(8.1, 0.7))
            self.records.append(Record(amount, voted, queued, queued + slow * dice.lognormvariate(4.1, 0.55)))
            self._count("governance_disbursements_total", 2, status="draft")
        before = at - 60
        for name, reached in (("voting", "voted"), ("queued", "queued"), ("timelocked", "due")):
            passed = sum(before <= getattr(record, reached) < at for record in self.records)
            self._count("governance_disbursements_total", passed, status=name)
        alive = "executor dead" not in on
        refused = "payments refused" in on
        due = [record for record in self.records if record.due < at]
        if alive:
            self.last_tick = now - dice.uniform(0, 15)
            for record in due if not refused else ():
                lag = max(record.due + dice.uniform(0, 15), before) - record.queued
                self._observe("treasury_disbursement_lag_seconds", lag)
                self._count("treasury_executor_result_total", 1, result="success")
                self._count("governance_disbursements_total", 1, status="executed")
                self.balance = max(0.0, self.balance - record.amount)
                self.records.remove(record)
                self.nonce += 1
            if refused and due:
                self._count("treasury_executor_result_total", 1, result="error")
            self.failures = self.failures + 1 if refused and due else 0
        if (minute % 1440 == 370 and "no refill" not in on) or minute == 6 * 1440 - 480:
            self.balance = REFILL
        waiting = {
            "draft": 0,
            "voting": sum(record.voted >= at for record in self.records),
            "queued": sum(record.voted < at <= record.due for record in self.records),
            "timelocked": sum(record.due < at for record in self.records),
            "executed": self.nonce,
        }
        for status, count in waiting.items():
            self._write("treasury_disbursement_backlog", now, count, status=status)
        self._write("treasury_balance", now, self.balance)
        state = 0 if self.failures < 5 else 1 + minute % 2
        gauges = {
            "last_tick_seconds": round(self.last_tick, 1),
            "last_success_seconds": round(self.last_tick, 1),
            "last_error_seconds": now if self.failures else 0,
            "pending_matured": len(due),
            "staged_intents": len(due) if refused else 0,
            "last_submitted_nonce": self.nonce,
            "lease_last_nonce": self.nonce,
            "lease_released": 0,
        }
        for name, value in gauges.items():
            self._write(f"treasury_executor_{name}", now, value)
        self._write("treasury_circuit_breaker_state", now, state)
        self._write("treasury_circuit_breaker_failures", now, self.failures)
        self._write("treasury_circuit_breaker_successes", now, 0)

    def _energy(self, now: int, busy: float, on: set[str]) -> None:
        dice = self.dice
        for _ in range(0 if "oracle silent" in on else _poisson(dice, PROVIDERS * (0.2 + 0.8 * busy))):
            late = dice.lognormvariate(0.9, 0.8) * (40 if "readings late" in on else 1)
            forged = dice.random() < (0.5 if "readings forged" in on else 0.002)
            reason = "bad_signature" if forged else "stale_timestamp" if late > 300 else None
            if reason:
                self._count("energy_reading_reject_total", 1, reason=reason)
                self._count("oracle_submission_errors_total", 1, reason=reason)
                continue
            self._observe("oracle_latency_seconds", late)
            self._count("energy_readings_total", 1)
            self.credits += 1
        if dice.random() < 0.1 and self.credits > 20:
            provider = f"energy-0x{dice.randrange(PROVIDERS):02x}"
            if "quorum lost" in on or dice.random() < 0.0005:
                self._count("energy_quorum_shortfall_total", 1, provider=provider)
                self._count("energy_slashing_total", 1, provider=provider, reason="quorum")
            else:
                self._count("energy_settlement_total", 1, provider=provider)
                self._count("energy_treasury_fee_total", dice.randint(5, 60))
                self.credits -= 20
        if dice.random() < 0.0003:
            self._count("energy_slashing_total", 1, provider="energy-0x03", reason="expiry")
        disputes = 1 if "dispute" in on else 0
        if disputes and not self.samples_now("energy_active_disputes_total"):
            self._count("energy_dispute_open_total", 1)
            self._count("energy_dispute_total", 1, state="open")
        elif not disputes and self.samples_now("energy_active_disputes_total"):
            self._count("energy_dispute_resolve_total", 1)
            self._count("energy_dispute_total", 1, state="resolved")
        self._write("energy_active_disputes_total", now, disputes)
        self._write("energy_provider_total", now, PROVIDERS)
        self._write("energy_pending_credits_total", now, self.credits)
        self._write("energy_receipt_total", now, dice.randint(0, 4))

    def _rpc(self, busy: float, on: set[str]) -> None:
        storm = "rpc storm" in on
        seen = _poisson(self.dice, 40 * busy) + (self.dice.randint(600, 900) if storm else 0)
        refused = round(seen * 0.4) if storm else self.dice.choice((0,) * 30 + (1,))
        self._count("rpc_rate_limit_attempt_total", seen)
        self._count("rpc_rate_limit_reject_total", refused)
        self._count("rpc_client_error_total", refused, code="2000")
        if storm and self.dice.random() < 0.15:
            self._count("rpc_bans_total", 1)

    def _host(self, now: int, minute: int, on: set[str]) -> None:
        growth = {"log": 1.1e6, "tables": 6e5, "other": 1e4}
        for part, per_minute in growth.items():
            grown = per_minute * self.dice.uniform(0.6, 1.4) * (18 if part == "log" and "log grows" in on else 1)
            self.data[part] += grown
            self.disk += grown
            self._write("the_block_data_bytes", now, round(self.data[part]), HOST, part=part)
        if minute % 1440 == 120 and "no backup" not in on:
            self.backup = now
        self._write("up", now, 1, HOST)
        self._write("the_block_backup_last_success_timestamp_seconds", now, self.backup, HOST)
        for name, value in (("avail", DISK_BYTES - self.disk), ("size", DISK_BYTES)):
            self.samples[f"node_filesystem_{name}_bytes", (*HOST, *DISK)].append((now, round(value)))

    def samples_now(self, name: str) -> float:
        """The gauge's last value, 0 before the first."""
        written = self.samples.get((name, NODE))
        return written[-1][1] if written else 0

    def _write(self, name: str, now: int, value: float, target: Labels = NODE, **labels: str) -> None:
        self.samples[name, (*target, *labels.items())].append((now, value))

    def _count(self, name: str, by: float, **labels: str) -> None:
        """A series of a counter appears with its first event, as on the node."""
        if by:
            self.counted[name, tuple(labels.items())] += by

    def _observe(self, name: str, seconds: float) -> None:
        for bound in (*_buckets(name), math.inf):
            le = "+Inf" if math.isinf(bound) else f"{bound:g}"
            self.counted[f"{name}_bucket", (("le", le),)] += seconds <= bound
        self.counted[f"{name}_sum", ()] += round(seconds, 3)
        self.counted[f"{name}_count", ()] += 1


def _poisson(dice: random.Random, mean: float) -> int:
    count, left = 0, math.exp(-mean) if mean < 30 else 0.0
    if not left:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    product = dice.random()
    while product > left:
        count, product = count + 1, product * dice.random()
    return count


_BOUNDS: dict[str, tuple[float, ...]] = {}


def _buckets(name: str) -> tuple[float, ...]:
    if not _BOUNDS:
        _BOUNDS.update({metric.name: metric.buckets for metric in catalogue.load().metrics if metric.buckets})
    return _BOUNDS[name]


def lines(names: frozenset[str], days: int = DAYS, seed: int = SEED) -> Iterator[str]:
    """OpenMetrics of the named series, one family after the other, a sample a minute."""
    week = Week(random.Random(seed))
    for minute in range(days * 1440):
        week.pass_minute(minute)
    for (name, labels), samples in sorted(week.samples.items()):
        if name in names:
            series = name + shown(labels)
            for at, value in samples:
                yield f"{series} {value:.10g} {at}\n"
    yield "# EOF\n"


def write(file: Path, names: frozenset[str]) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(lines(names))
