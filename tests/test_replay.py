"""The replay of an alert, held to what promtool's rule engine does with the same series."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from handbook import tool
from handbook.tuning.replay import Firing, firings

STEP = 30
STEPS = 120


def flapping(seed: int) -> list[bool]:
    """Runs of up and down, 1 to 9 evaluations long."""
    dice = random.Random(seed)
    values: list[bool] = []
    up = dice.random() < 0.5
    while len(values) < STEPS:
        values += [up] * dice.randint(1, 9)
        up = not up
    return values[:STEPS]


def promtool_finds(values: list[bool], hold: int, keep: int, claimed: list[Firing], directory: Path) -> bool:
    """Whether promtool's alert fires at exactly the evaluations that `claimed` covers."""
    rule = {"alert": "Flaps", "expr": "m > 0", "for": f"{hold}s"} | ({"keep_firing_for": f"{keep}s"} if keep else {})
    (directory / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    expected = [
        {
            "expr": 'count(ALERTS{alertstate="firing"})',
            "eval_time": f"{number * STEP}s",
            "exp_samples": [{"labels": "{}", "value": 1}] if _covers(claimed, number * STEP) else [],
        }
        for number in range(STEPS - 1)  # at the last one, resolved and still firing look alike
    ]
    series = {"series": "m", "values": " ".join("1" if one else "0" for one in values)}
    test = {"interval": f"{STEP}s", "input_series": [series], "promql_expr_test": expected}
    document = {"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP}s", "tests": [test]}
    (directory / "test.yml").write_text(yaml.safe_dump(document))
    return tool.run("promtool", "test", "rules", "test.yml", directory=directory).status == 0


def _covers(claimed: list[Firing], at: float) -> bool:
    return any(one.start <= at < one.end for one in claimed)


@pytest.mark.parametrize(
    ("hold", "keep"), [(0, 0), (60, 0), (45, 0), (120, 0), (0, 60), (60, 90), (90, 300), (150, 30), (20, 45)]
)
def test_it_fires_where_prometheus_fires(hold: int, keep: int, tmp_path: Path) -> None:
    pages = 0
    for seed in range(3):
        values = flapping(seed)
        active = [number * STEP for number, one in enumerate(values) if one]
        found = firings(active, 0, (STEPS - 1) * STEP, STEP, hold, keep)
        assert promtool_finds(values, hold, keep, found, tmp_path), (seed, found)
        pages += len(found)
    assert pages >= 3


def test_a_replay_that_forgets_for_would_be_seen(tmp_path: Path) -> None:
    values = flapping(1)
    active = [number * STEP for number, one in enumerate(values) if one]
    careless = firings(active, 0, (STEPS - 1) * STEP, STEP, 0, 0)
    assert not promtool_finds(values, 60, 0, careless, tmp_path)


def test_a_firing_that_goes_on_ends_with_the_window() -> None:
    assert firings([30, 60, 90], 0, 90, 30, 30, 0) == [Firing(60, 90)]
    assert firings([30, 60], 0, 90, 30, 30, 0) == [Firing(60, 90)]
    assert firings([], 0, 90, 30, 0, 0) == []
