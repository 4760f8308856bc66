"""The thresholds' one home: held to rules and panels both ways, and written to all of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from handbook import facts
from handbook.monitoring import catalogue, dashboards, rules
from handbook.monitoring.rules import Rule
from handbook.problem import Problem
from handbook.tuning import retune, thresholds

MONITORING = facts.ROOT / "monitoring"
FILES = [MONITORING / name for name in retune.RULE_FILES]
BOARDS = [MONITORING / "grafana_treasury_dashboard.json", MONITORING / "grafana_energy_dashboard.json"]
RULES = rules.load_rules(*FILES)
LOADED = thresholds.load()


def check(file: Path = thresholds.FILE, monitoring: Path = MONITORING) -> list[Problem]:
    loaded = rules.load_rules(*(monitoring / name for name in retune.RULE_FILES))
    boards = [dashboards.load_dashboard(monitoring / board.name) for board in BOARDS]
    return thresholds.check(loaded, boards, rules.known_series(loaded, catalogue.load()), file)


def named(key: str) -> thresholds.Threshold:
    return next(one for one in LOADED if one.key == key)


@pytest.fixture
def home(tmp_path: Path) -> retune.Home:
    """A copy of everything that repeats a number."""
    shutil.copytree(MONITORING, tmp_path / "monitoring")
    shutil.copy(thresholds.FILE, tmp_path / "thresholds.yml")
    prose = tmp_path / "page.md"
    prose.write_text("`OracleLatencyHigh` fires above 60 s, not at 1960 or 60.5.\n\nAt 60 s the kettle boils.\n" * 1)
    return retune.Home(tmp_path / "thresholds.yml", tmp_path / "monitoring", (prose,))


def changed(home: retune.Home, file: str, before: str, after: str) -> list[Problem]:
    place = home.monitoring / file if (home.monitoring / file).exists() else home.thresholds
    text = place.read_text()
    assert text.count(before) >= 1, before
    place.write_text(text.replace(before, after, 1))
    return check(home.thresholds, home.monitoring)


def test_rules_and_panels_hold_the_numbers_of_the_file() -> None:
    assert check() == []


def test_there_are_fourteen_numbers_of_twelve_alerts_and_ten_lines() -> None:
    assert [len(LOADED), len({one.alert for one in LOADED}), sum(bool(one.panel) for one in LOADED)] == [14, 12, 10]
    assert [one.key for one in LOADED if "#" in one.key] == ["EnergyReadingsRejected#2", "NodeDiskFilling#2"]


def test_every_number_an_alert_compares_with_is_one_of_them_or_asks_for_presence() -> None:
    compared = [number for rule in RULES if rule.alert for number in thresholds.numbers_compared(rule.expr)]
    assert sorted(compared) == sorted(one.value for one in LOADED if one.rule == one.alert)
    assert len(compared) == 13


BAD = [
    (
        "alert_rules.yml",
        "executor_tick:age_seconds > 120",
        "executor_tick:age_seconds > 150",
        ["TreasuryExecutorSilent: 150 where snippets/thresholds.yml has 120"],
    ),
    (
        "prometheus_recording_rules.yml",
        "expr: 10000 * treasury",
        "expr: 20000 * treasury",
        ["treasury:counter_reserve:block: 20000 where snippets/thresholds.yml has 10000"],
    ),
    (
        "alert_rules.yml",
        "treasury_circuit_breaker_state == 1",
        "treasury_circuit_breaker_failures > 4",
        ["TreasuryCircuitBreakerOpen: the threshold 4 is not listed"],
    ),
    (
        "alert_rules.yml",
        "energy:oracle_latency:p95 > 60",
        "energy:oracle_latency:p99 > 60",
        ["OracleLatencyHigh: OracleLatencyHigh holds `energy:oracle_latency:p95 > {value}` 0 times"],
    ),
    (
        "grafana_energy_dashboard.json",
        '"value": 60',
        '"value": 61',
        ["panel energy/202 has no threshold line at 60", "panel energy/202 has a threshold line at 61: whose?"],
    ),
    (
        "thresholds.yml",
        "panel: energy/202",
        "panel: energy/299",
        ["panel energy/202 has a threshold line at 60: whose?", "OracleLatencyHigh: no panel energy/299"],
    ),
    (
        "thresholds.yml",
        "alert: OracleLatencyHigh",
        "alert: OracleLate",
        ["OracleLate: there is no rule OracleLate", "OracleLatencyHigh: the threshold 60 is not listed"],
    ),
    (
        "thresholds.yml",
        "measure: treasury:disbursement_lag:p95",
        "measure: treasury:disbursement_lag:p96",
        ["TreasuryDisbursementLagHigh: unknown series treasury:disbursement_lag:p96",
         "TreasuryDisbursementLagHigh: TreasuryDisbursementLagHigh holds "
         "`treasury:disbursement_lag:p96 > {value}` 0 times"],
    ),
    ("thresholds.yml", "unit: block", "unit: bananas", ["$[2].unit: 'bananas' is not one of"]),
    ("thresholds.yml", "value: 60", "value: sixty", ["$[6].value: 'sixty' is not of type 'number'"]),
]  # fmt: skip


@pytest.mark.parametrize(("file", "before", "after", "messages"), BAD)
def test_a_number_that_differs_is_found(
    home: retune.Home, file: str, before: str, after: str, messages: list[str]
) -> None:
    found = [one.message for one in changed(home, file, before, after)]
    assert [message[: len(told)] for message, told in zip(found, messages, strict=True)] == messages


def test_the_place_of_a_problem_is_the_line_of_the_number(home: retune.Home) -> None:
    (first,) = changed(home, "alert_rules.yml", "executor_tick:age_seconds > 120", "executor_tick:age_seconds > 150")
    path, _, line = first.where.rpartition(":")
    assert "age_seconds > 150" in Path(path).read_text().splitlines()[int(line) - 1]
    assert first.hint.startswith("snippets/thresholds.yml:") or "thresholds.yml:" in first.hint


def test_a_number_is_put_into_the_alert_or_into_the_rule_it_rests_on() -> None:
    assert thresholds.with_value(named("OracleLatencyHigh"), RULES, 7) == "energy:oracle_latency:p95 > 7"
    short = thresholds.with_value(named("TreasuryCounterShort"), RULES, 5)
    assert short == "treasury_balance < on (job, instance) (5 * treasury:disbursement_backlog:open)"
    disk = thresholds.with_value(named("NodeDiskFilling#2"), RULES, 0.5)
    assert ("ratio < 0.05" in disk, "ratio < 0.5)" in disk) == (True, True)


def test_numbers_are_read_however_the_lines_are_broken() -> None:
    expr = "energy:oracle_latency:p95\n  >\n  6e1\n"
    broken = Rule("OracleLatencyHigh", True, expr, {}, {}, "g", "x.yml:1", "x.yml:2")
    assert thresholds.number_in(named("OracleLatencyHigh"), broken) == 60
    twice = Rule("OracleLatencyHigh", True, f"{expr} or {expr}", {}, {}, "g", "x.yml:1", "x.yml:2")
    assert thresholds.number_in(named("OracleLatencyHigh"), twice) is None


def test_written_numbers_stand_everywhere_and_nothing_else_changes(home: retune.Home) -> None:
    wanted = {one.key: one.value * 1.5 for one in LOADED}
    before = {file: file.read_text() for file in [home.thresholds, *sorted(home.monitoring.iterdir())]}
    told = retune.write(wanted, LOADED, RULES, home)
    assert check(home.thresholds, home.monitoring) == []
    assert {one.key: one.value for one in thresholds.load(home.thresholds)} == pytest.approx(wanted)
    assert len(told) == sum(3 if one.panel else 2 for one in LOADED) == 38
    lines = sum(
        a != b
        for file, text in before.items()
        for a, b in zip(text.splitlines(), file.read_text().splitlines(), strict=True)
    )
    assert lines == len(told)


def test_nothing_is_written_when_one_place_does_not_hold_the_number(home: retune.Home) -> None:
    board = home.monitoring / "grafana_energy_dashboard.json"
    board.write_text(board.read_text().replace('"value": 60', '"value": 61'))
    before = home.thresholds.read_text()
    with pytest.raises(ValueError, match="panel 202 has no threshold line at 60"):
        retune.write({"OracleLatencyHigh": 70}, LOADED, RULES, home)
    assert home.thresholds.read_text() == before


def test_sentences_that_tell_the_old_number_are_named(home: retune.Home) -> None:
    found = retune.still_told(named("OracleLatencyHigh"), home)
    assert [re.sub(r":\d+$", "", one.where).rpartition("/")[2] for one in found] == [
        "alert_rules.yml", "alert_rules.yml", "rules_test.yml", "rules_test.yml", "page.md", "page.md",
    ]  # fmt: skip
    assert found[-2].message == "`OracleLatencyHigh` fires above 60 s, not at 1960 or 60.5."


@pytest.mark.parametrize(("value", "text"), [(60, "60"), (0.05, "0.05"), (1e10, "10000000000"), (4.5e-7, "0.00000045")])
def test_a_number_is_spelled_as_all_three_languages_read_it(value: float, text: str) -> None:
    assert retune.spelled(value) == text
    assert float(text) == json.loads(text) == pytest.approx(value)
