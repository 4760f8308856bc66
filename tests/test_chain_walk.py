"""What a walk finds wrong, on servers that are made up: a good one, and one for each step that can fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from handbook.chain.config import MONITORING
from handbook.chain.fault import Fault
from handbook.chain.recorder import Message
from handbook.chain.run import alerts
from handbook.chain.walk import Course, Scene, walk
from handbook.chain.watch import Fired

RULE = alerts(MONITORING)["TreasurySeriesMissing"]
KEY = (RULE.name, "127.0.0.1:1")
MOCK = "metrics_unset"
SUMMARY = "Node 127.0.0.1:1 exports no treasury_balance"


@dataclass
class World:
    """A node, Prometheus and Alertmanager that do at once what they should; each test takes one thing away."""

    broken: bool = False
    ever: bool = False
    was: float = 0.0
    shown_before: bool = False
    shown: bool = True
    fires: bool = True
    wait: float = 10.0
    told: tuple[str, ...] = ("treasury-team",)
    text: str = f"{RULE.name}\n{SUMMARY}\n{RULE.annotations['runbook_url']}"
    runbook: str = RULE.annotations["runbook_url"]
    journal: tuple[str, ...] = (MOCK,)
    metric: tuple[str, ...] = (MOCK,)
    goes: bool = True
    resolved: bool = True
    flow: Exception | None = None
    looked: float = field(default_factory=time.monotonic)

    def inject(self, lane: Any, made: Any) -> None:
        self.broken, self.ever, self.was = True, True, time.monotonic()

    def mend(self, lane: Any, made: Any) -> None:
        self.broken, self.looked = False, time.monotonic() + 1

    def query(self, promql: str) -> list[Any]:
        if promql.startswith("mock_faults"):
            return [{"metric": {"fault": name}} for name in self.metric]
        return [{}] if self.shown_before or (self.broken and self.shown) else []

    def fired(self) -> dict[tuple[str, str], Fired]:
        return {KEY: Fired(self.was + self.wait, 0)} if self.ever and self.fires else {}

    def firing(self, key: tuple[str, str]) -> bool:
        return self.broken or not self.goes

    def messages(self, kind: str) -> list[Message]:
        if kind == "slack":
            return [Message(self.was, kind, "treasury-team", {"text": self.text})]
        states = ["firing"] * self.ever + ["resolved"] * (self.ever and not self.broken and self.resolved)
        return [Message(self.was, kind, name, self.body(state)) for state in states for name in self.told]

    def body(self, state: str) -> dict[str, Any]:
        labels = {"alertname": KEY[0], "instance": KEY[1]}
        annotations = {"runbook_url": self.runbook, "summary": SUMMARY}
        return {"alerts": [{"status": state, "labels": labels, "annotations": annotations}]}

    def faults_struck(self) -> set[str]:
        return set(self.journal)


def walked(world: World, inject: Callable[[Any, Any], None] | None = None) -> Course:
    lane = SimpleNamespace(
        instance=KEY[1], flows=[SimpleNamespace(failed=world.flow)], faults_struck=world.faults_struck
    )
    pager = SimpleNamespace(recorder=world, texts={"treasury-team": ("slack",)})
    stack: Any = SimpleNamespace(query=world.query, pager=pager)
    watch: Any = world
    fault = Fault[Any](RULE.name, "what", "up{$node}", inject or world.inject, world.mend, mock=frozenset({MOCK}))
    return walk(Scene(RULE, fault, lane, None, stack, watch, patience=0.2))


def test_a_good_walk_has_no_problems() -> None:
    course = walked(World())
    assert course.problems == []
    assert (course.receivers, course.runbook) == (["treasury-team"], "runbooks/node-metrics-missing.md")
    assert course.fired == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"shown_before": True}, 'nothing of it in up{instance="127.0.0.1:1"} before: not within 0 s'),
        ({"shown": False}, 'the metric, up{instance="127.0.0.1:1"}: not within 0 s'),
        ({"fires": False}, "TreasurySeriesMissing firing in Prometheus: not within 0 s"),
        ({"wait": 2.0}, "fired after 2.0 s; its for takes 6.1 s"),
        ({"told": ("slack",)}, "TreasurySeriesMissing told to treasury-team: not within 0 s"),
        ({"told": ("treasury-team", "pagerduty")}, "told to pagerduty too"),
        ({"runbook": "https://elsewhere.example/"}, "https://elsewhere.example/: not under "),
        ({"text": "nothing"}, "slack told by treasury-team of TreasurySeriesMissing: not within 0 s"),
        ({"text": World.text + "<no value>"}, "slack told by treasury-team of TreasurySeriesMissing: not within 0 s"),
        ({"journal": ()}, "the mock node shows no fault metrics_unset"),
        ({"metric": ()}, "the mock node shows no fault metrics_unset"),
        ({"goes": False}, "TreasurySeriesMissing gone in Prometheus: not within 0 s"),
        ({"resolved": False}, "TreasurySeriesMissing told as resolved: not within 0 s"),
        ({"flow": ValueError("why")}, "what goes on beside it ended: why"),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], found: str) -> None:
    assert any(problem.startswith(found) for problem in walked(World(**changed)).problems)


def test_a_fault_that_cannot_be_injected_is_a_problem() -> None:
    def fails(lane: Any, made: Any) -> None:
        raise RuntimeError("the mock node did not start")

    assert walked(World(), fails).problems == ["the mock node did not start"]
