"""A shift of six hours on a mock node: disbursements, meter readings, settlements, and a few things that go wrong.

The node is the mock itself, in this process and on a frozen clock, so that hours pass in seconds and every run is the
same. What a Prometheus would have scraped of it every 30 s is kept with its time; the dashboards are drawn from that.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handbook import facts
from handbook.node import control
from handbook.node.config import Config, EnergyRates, Limits
from handbook.node.desk import Desk
from handbook.node.exposition import render
from handbook.node.gate import Caller
from handbook.node.limiter import Limiter
from handbook.node.methods import run
from handbook.node.node import Node
from handbook.node.readings import Reading, digest

START = 1_767_247_200
"""2026-01-01T06:00:00Z."""
STEP = 30
STEPS = 720
SEED = 6
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
PROVIDERS = 5
NODE = 'instance="127.0.0.1:9898",job="the-block-node"'

Ask = Callable[[str, dict[str, Any]], Any]
"""Method and params to result; None where the node refuses."""


@dataclass
class Shift:
    """What the people and meters around one node do. `now` is the node's clock."""

    rpc: Ask
    control: Ask
    now: int
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    moving: dict[int, int] = field(default_factory=dict)
    """Steps that each disbursement has taken."""
    totals: dict[int, int] = field(default_factory=dict)
    credits: list[tuple[str, str, int]] = field(default_factory=list)
    nonce: int = 0
    dispute: int | None = None
    executor: bool = True

    def begin(self) -> None:
        self.control("mock.fund", {"account": "treasury", "amount": 50_000_000})
        self.control("mock.executor", {"mode": "manual"})
        self.control("mock.energy", {"mode": "real_time", "slashing_rate_bps": 500})
        for number in range(PROVIDERS):
            terms = {"capacity_kwh": 100_000, "price_per_kwh": 3, "stake": 5_000, "jurisdiction": "US_CA"}
            self.rpc("energy.register_provider", terms | {"meter_address": f"meter-{number}"})
            self.control("mock.energy", {"provider_id": provider(number), "public_key_hex": PUBLIC})

    def step(self, share: float) -> None:
        """Half a minute; `share` is how much of the shift is over, from 0 to 1."""
        self.now += STEP
        self.control("mock.clock", {"set": self.now, "freeze": True})
        chain = self.control("mock.mine", {"blocks": 120})
        self._disburse(share, chain["epoch"])
        self._read_meters(share)
        self._settle(share)
        self._dispute(share)

    def _disburse(self, share: float, epoch: int) -> None:
        if self.dice.random() < 0.13:
            details = {"destination": "tb1qpayee", "amount": self.dice.randrange(500, 9_000, 100), "memo": ""}
            windows = {"vote_window_epochs": 1, "timelock_epochs": 1, "rollback_window_epochs": 1}
            proposal = {"title": "Grant", "summary": "Monthly"} | windows
            given = {
                "payload": {
                    "disbursement": details | {"scheduled_epoch": epoch + 5 + self.dice.randrange(2)},
                    "proposal": proposal,
                }
            }
            if told := self.rpc("gov.treasury.submit_disbursement", given):
                self.moving[told["id"]] = 0
        for id_, taken in list(self.moving.items()):
            if self.dice.random() < 0.95:
                if not self.rpc("gov.treasury.queue_disbursement", {"id": id_, "current_epoch": epoch}):
                    continue
                self.moving[id_] = taken + 1
                withdrawn = taken == 1 and self.dice.random() < 0.06
                if withdrawn:
                    self.rpc("gov.treasury.rollback_disbursement", {"id": id_, "reason": "withdrawn"})
                if withdrawn or taken == 2:
                    del self.moving[id_]
        dead = between(share, 0.40, 0.46)
        if dead == self.executor:
            self.executor = not dead
            self.control("mock.executor", {"mode": "off" if dead else "manual"})
        if between(share, 0.70, 0.70 + 1 / STEPS):  # five refusals open the circuit breaker
            self.control("mock.fault.add", {"fault": "mempool_full", "times": 5})
        if self.executor:
            self.control("mock.tick", {})
        if any(between(share, at, at + 0.001) for at in (0.3, 0.6)):
            self.control("mock.fund", {"counter": 150_000})

    def _read_meters(self, share: float) -> None:
        for number in range(PROVIDERS):
            if self.dice.random() > 0.35 or between(share, 0.60, 0.64):
                continue
            late = self.dice.lognormvariate(1.0, 0.7) * (15 if between(share, 0.20, 0.27) else 1)
            self.nonce += 1
            delivered = self.dice.randint(5, 40)
            total = self.totals.get(number, 0) + delivered
            forged = self.dice.random() < (0.5 if between(share, 0.80, 0.86) else 0.01)
            told = self.rpc("energy.submit_reading", signed(number, total, self.now - round(late), self.nonce, forged))
            if told:
                self.totals[number] = total
                self.credits.append((provider(number), told["meter_hash"], delivered))

    def _settle(self, share: float) -> None:
        if self.credits and self.dice.random() < 0.5:
            short = between(share, 0.48, 0.52)
            self.control("mock.energy", {"quorum_threshold_ppm": 900_000 if short else 0})
            id_, hash_, kwh = self.credits[0]
            if self.rpc("energy.settle", {"provider_id": id_, "kwh_consumed": kwh, "meter_hash": hash_}) or not short:
                self.credits.pop(0)

    def _dispute(self, share: float) -> None:
        if self.dispute is None and self.credits and any(between(share, at, at + 0.05) for at in (0.15, 0.33, 0.75)):
            told = self.rpc("energy.flag_dispute", {"meter_hash": self.credits[-1][1], "reason": "meter swapped"})
            self.dispute = told["id"] if told else None
        elif self.dispute is not None and any(between(share, at, at + 0.05) for at in (0.21, 0.55, 0.95)):
            self.rpc("energy.resolve_dispute", {"dispute_id": self.dispute})
            self.dispute = None


def between(share: float, low: float, high: float) -> bool:
    return low <= share < high


def provider(number: int) -> str:
    return f"energy-0x{number:08x}"


def signed(number: int, total: int, at: int, nonce: int, forged: bool = False) -> dict[str, Any]:
    """A meter reading as `energy.submit_reading` takes it; a forged one says more kWh than was signed."""
    reading = Reading(provider(number), f"meter-{number}", total, at, nonce, b"")
    given = {"provider_id": reading.provider_id, "meter_address": reading.meter_address, "timestamp": at}
    signature = KEY.sign(digest(reading)).hex()
    return given | {"kwh_reading": total + forged, "nonce": nonce, "signature": signature}


@contextmanager
def at_work(directory: Path) -> Iterator[tuple[Shift, Node]]:
    """A shift on a mock node in this process, whose limiters let everything through."""
    fast = {"limits": Limits(tokens_per_second=1e9), "energy_rates": EnergyRates(1e9, 1e9, 1e9, 1e9)}
    node = Node(Config(data_dir=directory / "node-data", clock=START, treasury_balance=220_000, **fast))  # type: ignore[arg-type]
    rpc, steering = Desk(node, "rpc", run), Desk(node, "control", control.run)

    def asking(desk: Desk) -> Ask:
        def ask(method: str, params: dict[str, Any]) -> Any:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            answer = desk.call(body.encode(), close=False, caller=Caller())
            node.commit()
            assert answer.data is not None
            return json.loads(answer.data.partition(b"\r\n\r\n")[2]).get("result")

        return ask

    try:
        yield Shift(asking(rpc), asking(steering), START), node
    finally:
        node.close()


def scrapes(directory: Path, steps: int = STEPS) -> Iterator[tuple[int, str, float]]:
    """Second of the scrape, the node's exposition, and the seconds that writing it took, after each step."""
    with at_work(directory) as (shift, node):
        shift.begin()
        few = Limiter(Limits(tokens_per_second=2, ban_seconds=60), node.metrics)
        for number in range(steps):
            shift.step(number / steps)
            if between(number / steps, 0.88, 0.92):  # a client that does not wait
                for call in range(12):
                    few.refuse("127.0.0.9", shift.now + call / 100)
            started = time.perf_counter()
            text = render(node)
            yield shift.now, text, time.perf_counter() - started


def write(file: Path, directory: Path, steps: int = STEPS) -> None:
    """OpenMetrics of the shift, family by family, with what Prometheus adds of its own to a scrape that went well."""
    series: dict[str, list[str]] = {}
    dropped = dropped_names()
    for at, text, seconds in scrapes(directory, steps):
        samples = [line for line in text.splitlines() if line and not line.startswith("#")]
        kept = [line for line in samples if line.partition("{")[0].partition(" ")[0] not in dropped]
        own = {
            "up": 1,
            "scrape_duration_seconds": round(seconds, 6),
            "scrape_samples_scraped": len(samples),
            "scrape_samples_post_metric_relabeling": len(kept),
            "scrape_series_added": max(0, len(kept) - len(series)),
        }
        for line in (*kept, *(f"{name} {value}" for name, value in own.items())):
            name, _, value = line.rpartition(" ")
            base, _, labels = name.partition("{")
            told = f"{base}{{{NODE},{labels}" if labels else f"{base}{{{NODE}}}"
            series.setdefault(told, []).append(f"{told} {value} {at}\n")
    with file.open("w", encoding="utf-8") as out:
        for name in sorted(series):
            out.writelines(series[name])
        out.write("# EOF\n")


def dropped_names() -> frozenset[str]:
    """Metrics that monitoring/prometheus.yml drops from a scrape."""
    config = yaml.safe_load((facts.ROOT / "monitoring" / "prometheus.yml").read_text())
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "the-block-node")
    return frozenset(rule["regex"] for rule in job["metric_relabel_configs"] if rule["action"] == "drop")


def end(steps: int = STEPS) -> int:
    """When the last scrape was."""
    return START + steps * STEP
