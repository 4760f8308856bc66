"""Recording rules, alerts, their unit tests, the queries in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from handbook import facts, tool
from handbook.monitoring import catalogue, promql, rule_tests, rules
from handbook.problem import Problem

MONITORING = facts.ROOT / "monitoring"
CASES = Path(__file__).parent / "cases" / "monitoring"
FILES = [MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml"]
LOADED = rules.load_rules(*FILES)
KNOWN = rules.known_series(LOADED, catalogue.load())


def check(*names: str) -> list[Problem]:
    return rules.check_rules([CASES / name for name in names], catalogue.load())


def at(name: str, line: int) -> str:
    return f"tests/cases/monitoring/{name}:{line}"


def test_the_rule_files_are_in_order() -> None:
    assert rules.check_rules(FILES, catalogue.load()) == []


def test_there_are_30_recorded_series_and_24_alerts() -> None:
    loaded = rules.load_rules(*FILES)
    assert [sum(not rule.alert for rule in loaded), sum(rule.alert for rule in loaded)] == [30, 24]


def test_the_names_the_seed_gave_are_recorded_every_30_seconds() -> None:
    groups = {group["name"]: group for group in yaml.safe_load(FILES[0].read_text())["groups"]}
    assert {name: group["interval"] for name, group in groups.items()} == {
        "treasury_recordings": "30s",
        "governance_recordings": "30s",
        "energy_recordings": "30s",
        "rpc_recordings": "30s",
        "host_recordings": "30s",
    }
    wanted = {"treasury:disbursement_lag:p95", "treasury:disbursement_lag:p99", "energy:oracle_latency:p95"}
    assert wanted - set(KNOWN.recorded) == set()


def test_each_alert_has_its_severity_and_runbook() -> None:
    found = {r.name: (r.labels["severity"], f"{r.slug}#{r.anchor}".rstrip("#")) for r in LOADED if r.alert}
    assert found == {
        "TreasuryDisbursementStuck": ("critical", "treasury-disbursement-stuck"),
        "TreasuryExecutorSilent": ("critical", "treasury-disbursement-stuck"),
        "TreasuryDisbursementLagHigh": ("warning", "treasury-disbursement-stuck"),
        "TreasuryCircuitBreakerOpen": ("warning", "treasury-disbursement-stuck"),
        "TreasuryExecutorErrors": ("warning", "treasury-disbursement-stuck#diagnose"),
        "TreasuryCounterShort": ("warning", "treasury-counter-short"),
        "GovernanceDisbursementsWaiting": ("warning", "governance-waiting"),
        "GovernanceRollback": ("info", "governance-waiting#rolled-back"),
        "EnergyReadingsRejected": ("warning", "energy-readings-rejected"),
        "EnergyQuorumShortfall": ("warning", "energy-settlement-fails#quorum"),
        "EnergySlashing": ("warning", "energy-settlement-fails#slashing"),
        "EnergyDisputesOpen": ("warning", "energy-disputes-open"),
        "OracleLatencyHigh": ("warning", "oracle-silent#late"),
        "OracleSilent": ("warning", "oracle-silent"),
        "RpcClientBanned": ("warning", "rpc-clients-banned"),
        "RpcRateLimited": ("info", "rpc-clients-banned#limits"),
        "NodeMetricsMissing": ("critical", "node-metrics-missing"),
        "TreasurySeriesMissing": ("info", "node-metrics-missing"),
        "NodeScrapeSlow": ("warning", "node-metrics-missing#silent"),
        "NodeSeriesNearLimit": ("warning", "node-metrics-missing#scrape"),
        "BackupTooOld": ("critical", "backup-too-old"),
        "NodeDiskFilling": ("critical", "disk-filling"),
        "NodeLogGrowing": ("warning", "disk-filling#growth"),
        "Watchdog": ("info", "watchdog-silent"),
    }


def test_every_rule_is_tested_and_silent_one_evaluation_earlier() -> None:
    assert rule_tests.check_rule_tests(MONITORING / "rules_test.yml", rules.load_rules(*FILES)) == []


def test_a_rule_without_a_test_is_found() -> None:
    untested = rules.Rule(
        "Untested", True, "up == 0", {}, {}, "g", "monitoring/alert_rules.yml:3", "monitoring/alert_rules.yml:4"
    )
    found = rule_tests.check_rule_tests(MONITORING / "rules_test.yml", (*rules.load_rules(*FILES), untested))
    hint = "add one to monitoring/rules_test.yml"
    assert found == [Problem("monitoring/alert_rules.yml:3", "Untested: no test expects it", hint)]


def test_an_alert_that_fires_always_is_expected_from_the_first_evaluation_on(tmp_path: Path) -> None:
    (watchdog,) = [rule for rule in LOADED if rule.alert and rule.always]
    assert watchdog.name == "Watchdog"
    for file in FILES:
        (tmp_path / file.name).write_text(file.read_text())
    tests = tmp_path / "rules_test.yml"
    tests.write_text(
        (MONITORING / "rules_test.yml")
        .read_text()
        .replace("eval_time: 0s\n        exp_alerts", "eval_time: 30s\n        exp_alerts")
    )
    (found,) = rule_tests.check_rule_tests(tests, LOADED)
    assert found.message == "Watchdog fires always, and no test expects it at 0s"


def test_a_test_file_that_finds_no_rules_is_found(tmp_path: Path) -> None:
    """promtool only warns, and passes every expectation of silence."""
    shutil.copytree(CASES / "rule_tests", tmp_path / "monitoring")
    file = tmp_path / "monitoring" / "matches_nothing.yml"
    said = tool.run("promtool", "test", "rules", file.name, directory=file.parent)
    assert (said.status, "no file match pattern" in said.output) == (0, True)
    found = rule_tests.check_rule_tests(CASES / "rule_tests" / "matches_nothing.yml", LOADED)
    where = "tests/cases/monitoring/rule_tests/matches_nothing.yml"
    assert found == [
        Problem(f"{where}:3", "rule_files: no file matches *_rule.yml", "paths are relative to the test file"),
        *(
            Problem(where, f"rule_files leaves out monitoring/{name}", "promtool would test it as absent")
            for name in ("prometheus_recording_rules.yml", "alert_rules.yml")
        ),
    ]


def test_prometheus_accepts_its_configuration() -> None:
    said = tool.run("promtool", "check", "config", "--lint-fatal", "prometheus.yml", directory=MONITORING)
    assert (said.status, "2 rule files found" in said.output) == (0, True), said.output


def test_the_scrape_is_limited_and_the_unbounded_labels_are_dropped() -> None:
    job, host = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["job_name"], host["job_name"]] == ["the-block-node", "the-block-host"]
    assert host["static_configs"] == [{"targets": ["127.0.0.1:9100"]}]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9898"]}]
    limits = {"sample_limit", "label_limit", "label_name_length_limit", "label_value_length_limit", "body_size_limit"}
    assert limits - set(job) == set()
    dropped = {rule["regex"] for rule in job["metric_relabel_configs"]}
    unbounded = {m.name for m in catalogue.load().metrics if m.source == "node" and None in m.labels.values()}
    kept = {"energy_settlement_total", "energy_quorum_shortfall_total", "energy_slashing_total"}
    assert unbounded - dropped == kept


def test_groups_spelt_gloups_is_found_with_its_line() -> None:
    assert check("gloups.yml") == [
        Problem(
            at("gloups.yml", 1),
            "promtool rejects it: field gloups not found in type rulefmt.RuleGroups",
            "the key is spelt groups",
        )
    ]


def test_an_empty_rule_file_is_found() -> None:
    assert check("empty.yml") == [
        Problem("tests/cases/monitoring/empty.yml", "promtool found no rule in it", "a rule file begins with `groups:`")
    ]


def test_a_series_recorded_twice_is_found() -> None:
    (found,) = check("duplicate_rule.yml")
    assert found.where == "tests/cases/monitoring/duplicate_rule.yml"
    assert "1 duplicate rule(s) found. Metric: treasury:disbursement_backlog:open" in found.message


QUERY_PROBLEMS = [
    (6, "treasury:disbursement_lag:p95: quantile 95 is not between 0 and 1", "95 % is 0.95, not 95"),
    (
        8,
        "treasury:disbursement_lag:p99: histogram_quantile over an aggregation that drops the label le",
        "write sum by (…, le) (…)",
    ),
    (
        10,
        "treasury:disbursement_lag:p50: histogram_quantile over buckets without rate()",
        "write rate(…_bucket[5m]): without it the quantile is over all time",
    ),
    (
        14,
        "treasury:lag:raw: unknown series treasury_disbursement_lag_seconds",
        "a histogram is stored as treasury_disbursement_lag_seconds_bucket, treasury_disbursement_lag_seconds_sum, "
        "treasury_disbursement_lag_seconds_count",
    ),
    (16, "energy:standing:now: unknown series energy_reputation_score", "metrics are listed in snippets/metrics.yml"),
    (
        18,
        'treasury:disbursements:unapproved: treasury_disbursement_backlog never has status="qeued"',
        "one of draft, voting, queued, timelocked, executed, finalized, rolled_back, other",
    ),
    (20, "energy:providers:rate5m: rate() of the gauge energy_provider_total", "use delta() or deriv() for a gauge"),
    (22, "treasury:executor:reason: treasury_executor_result_total has no label reason", "its labels: result"),
    (
        24,
        "OracleLatencyHigh: threshold 300 is out of reach: the last bucket ends at 300",
        "a quantile is never larger than the last finite bucket",
    ),
    (23, "OracleLatencyHigh: severity 'critcal'", "one of critical, warning, info"),
    (23, "OracleLatencyHigh: no label component", ""),
    (23, "OracleLatencyHigh: no annotation summary", ""),
    (23, "OracleLatencyHigh: no annotation description", ""),
    (23, "OracleLatencyHigh: no annotation runbook_url", ""),
    (23, "OracleLatencyHigh: no annotation dashboard", ""),
    (23, "OracleLatencyHigh: no `for`", "0s says that it fires at once"),
]


def test_promtool_passes_the_dead_queries() -> None:
    assert tool.run("promtool", "check", "rules", "--lint-fatal", str(CASES / "queries.yml")).status == 0


def test_dead_queries_and_an_alert_that_tells_nothing_are_found() -> None:
    assert check("queries.yml") == [Problem(at("queries.yml", line), *rest) for line, *rest in QUERY_PROBLEMS]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rate(treasury_balance)", "not PromQL: expected type matrix in call to function 'rate', got vector"),
        ("quantile_over_time(80, treasury_balance[7d])", "quantile 80 is not between 0 and 1"),
        ('{job="the-block-node"}', "selects series without naming one"),
        (
            "600 < histogram_quantile(0.9, rate(oracle_latency_seconds_bucket[5m]))",
            "threshold 600 is out of reach: the last bucket ends at 300",
        ),
        (
            "energy:oracle_latency:p95 * 1000 > 300000",
            "threshold 300000 is out of reach: the last bucket ends at 300000",
        ),
    ],
)
def test_a_query_that_cannot_work_is_found(query: str, message: str) -> None:
    assert [one for one, _ in promql.check_query(query, KNOWN)] == [message]


@pytest.mark.parametrize(
    "query",
    [
        "treasury:disbursement_lag:p95 > 300",
        "energy:oracle_latency:p95 * 1000 > 250000",
        'treasury_disbursement_backlog{status=~"queued|timelocked", instance=~"$instance"}',
        "rate(rpc_rate_limit_attempt_total[$__rate_interval])",
        "histogram_quantile(0.95, sum without (instance) (rate(treasury_disbursement_lag_seconds_bucket[5m])))",
    ],
)
def test_a_query_that_works_is_let_alone(query: str) -> None:
    assert promql.check_query(query, KNOWN) == []


def test_a_missing_program_is_one_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    missing = [
        Problem("promtool", "this program is not installed", "apt-get install --no-install-recommends prometheus")
    ]
    assert rules.check_rules(FILES, catalogue.load()) == missing
    assert rule_tests.check_rule_tests(MONITORING / "rules_test.yml", ()) == missing
