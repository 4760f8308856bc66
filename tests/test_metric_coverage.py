"""`handbook metrics`: a scrape against the catalogue, both ways, on the mock and on a real node's scrape."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from node_process import RECORDINGS, NodeProcess, fresh_node, timelocked

from handbook import facts
from handbook.monitoring import catalogue, metric_coverage, scrape, scrape_limits
from handbook.monitoring.metric_coverage import Coverage, Expected, compare
from handbook.monitoring.metric_names import SYSTEMS
from handbook.monitoring.metric_report import summary, table
from handbook.monitoring.scrape_limits import Limits
from handbook.node.exposition import render
from handbook.node.node import Node

LISTED = catalogue.load()
LIMITS = scrape_limits.load()
IDLE = (RECORDINGS / "metrics-idle-executor.txt").read_text()
STOCK = Expected(build="0ecc756a")
EXPORTED = [metric for metric in LISTED.metrics if metric.source in ("node", "mock")]
TICKED = {"start": "there", "executor tick": "there", "first event": "not yet"}
PLAIN = TICKED | {"executor tick": "no executor"}
"""Verdict by when a metric appears: with an executor that made a tick, and without one."""
SCRIPT = facts.ROOT / "verify_metrics_coverage.sh"


def of(text: str, expected: Expected | None = None, limits: Limits = LIMITS) -> Coverage:
    return compare(scrape.read(text.encode(), "x"), LISTED, limits, expected)


def failed(covered: Coverage) -> dict[str, str]:
    """Verdict and notes of what fails, by metric."""
    found = {one.metric: " ".join([one.verdict, *one.notes]) for one in covered.findings if one.failed}
    assert covered.failed == bool(found or covered.breaches)
    return found


def verdicts(covered: Coverage) -> Counter[str]:
    return Counter(one.verdict for one in covered.findings)


@pytest.fixture(scope="module")
def idle_mock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A mock whose executor made one tick with nothing to do."""
    with fresh_node(tmp_path_factory.mktemp("idle")) as node:
        return ticked(node)


def ticked(node: Node) -> str:
    node.start_executor("manual")
    assert node.executor
    node.executor.tick()
    node.commit()
    return render(node)


# A node as it should be


def test_a_real_nodes_scrape_has_what_its_build_has_and_no_unknown_name_of_a_listed_system() -> None:
    covered = of(IDLE, Expected(build="0ecc756a", executor=True))
    assert failed(covered) == {}
    counts = verdicts(covered)
    assert counts.pop("not yet") >= 19
    assert counts == {"there": 17, "never here": 5, "not the mock": 3, "other": 69}
    assert (covered.samples, covered.kept, covered.sample_limit) == (240, 239, 5000)
    others = {one.metric for one in covered.findings if one.verdict == "other"}
    assert {name.split("_")[0] for name in others} & set(SYSTEMS) == set()
    assert "storage_engine_size_bytes" in others


def test_strict_names_every_metric_that_is_not_listed() -> None:
    covered = of(IDLE, Expected(build="0ecc756a", strict=True))
    assert len(failed(covered)) == verdicts(covered)["UNKNOWN"] == 69


def test_a_stock_node_taken_for_the_mock_is_told_which_build_it_may_be() -> None:
    hint = "MISSING build 0ecc756a never sets it: for such a node add --build 0ecc756a"
    found = failed(of(IDLE))
    assert set(found.values()) == {hint}
    assert len(found) == 5


def test_the_mock_is_covered_with_and_without_an_executor(idle_mock: str, tmp_path: Path) -> None:
    with fresh_node(tmp_path) as node:
        plain = of(render(node))
        assert failed(plain) == {}
        assert verdicts(plain) == Counter(PLAIN[metric.appears] for metric in EXPORTED)
        asked = failed(of(render(node), Expected(executor=True)))
        assert len(asked) == verdicts(plain)["no executor"] >= 11
        assert set(asked.values()) == {"MISSING the executor has not come to the end of a tick"}
    assert failed(of(idle_mock, Expected(executor=True))) == {}
    assert verdicts(of(idle_mock)) == Counter(TICKED[metric.appears] for metric in EXPORTED)


def test_the_mock_as_the_stock_build_is_covered_as_that_build(tmp_path: Path) -> None:
    with fresh_node(tmp_path, build="0ecc756a") as node:
        assert failed(of(ticked(node), STOCK)) == {}
        assert len(failed(of(ticked(node)))) == 5


def test_every_metric_that_a_node_exports_is_covered(tmp_path: Path) -> None:
    """With a payment, a refused one, and every counter set once: nothing is left as not yet."""
    with fresh_node(tmp_path) as node:
        ticked(node)
        timelocked(node, 100)
        node.limiter.refuse("::1", 0)
        node.metrics.limiter_rejects = node.metrics.limiter_bans = 1
        for metric in EXPORTED:
            if metric.type == "histogram":
                node.metrics.observe(metric.name, 1)
            elif metric.type == "gauge" and not metric.labels:
                node.metrics.gauges.setdefault(metric.name, 0)
            elif metric.type == "counter":
                node.metrics.add(metric.name, *(values[0] if values else "x" for values in metric.labels.values()))
        covered = of(render(node))
        assert failed(covered) == {}
        assert verdicts(covered) == {"there": len(EXPORTED)}
        assert len(EXPORTED) >= 44


def test_the_budget_is_the_mocks_own_bound(tmp_path: Path) -> None:
    from handbook.node.families import FAMILIES

    for metric in LISTED.metrics:
        if metric.source in ("node", "mock"):
            other = any(values and "other" not in values for values in metric.labels.values())
            bound = FAMILIES[metric.name].budget
            assert metric_coverage.budget(metric) == bound or (other and metric_coverage.budget(metric) < bound), (
                metric.name
            )


# A node as it should not be


def test_a_metric_that_has_gone_is_missing(idle_mock: str) -> None:
    def without(name: str) -> str:
        return "".join(line for line in idle_mock.splitlines(keepends=True) if name not in line)

    for metric in ("treasury_balance", "treasury_disbursement_lag_seconds", "energy_provider_total"):
        assert list(failed(of(without(metric)))) == [metric]
    gone = failed(of(without("treasury_executor_last_tick_seconds")))
    assert gone == {"treasury_executor_last_tick_seconds": "MISSING other series of the executor are there"}
    declared = re.sub(r"^treasury_balance .*\n", "", idle_mock, flags=re.M)
    assert "# TYPE treasury_balance gauge" in declared
    assert list(failed(of(declared))) == ["treasury_balance"], "declared, without a sample"


@pytest.mark.parametrize(
    ("before", "after", "metric", "verdict"),
    [
        ("TYPE treasury_balance gauge", "TYPE treasury_balance counter", "treasury_balance", "WRONG is a counter"),
        ("# TYPE treasury_balance gauge\n", "", "treasury_balance", "WRONG is a untyped, listed as gauge"),
        ('{status="draft"} 0', '{status="drafts"} 0', None, 'WRONG status="drafts" is not among the listed values'),
        ('{status="draft"} 0', '{state="draft"} 0', None, "WRONG has the label state, which is not listed lacks the"),
        ('{status="draft"} 0', '{status="draft",id="7"} 0', None, "WRONG has the label id, which is not listed"),
        ('{status="draft"} 0', " 0", None, "WRONG lacks the label status"),
        ('{status="draft"} 0', '{status="voting"} 0', None, "stands there twice with the same labels"),
        ('_bucket{le="300"} 0', '_bucket{le="301"} 0', "treasury_disbursement_lag_seconds", "WRONG its buckets"),
        ('_bucket{le="300"} 0', '_bucket{le="x"} 0', "treasury_disbursement_lag_seconds", "WRONG its buckets"),
        ('_bucket{le="1"} 0', '_bucket{le="1.0"} 0', "treasury_disbursement_lag_seconds", ""),
    ],
)
def test_a_metric_that_is_not_as_it_is_listed_is_wrong(
    idle_mock: str, before: str, after: str, metric: str | None, verdict: str
) -> None:
    """One line of one metric changed: governance_disbursements_total, where no other is named."""
    name = metric or "governance_disbursements_total"
    before, after = (before, after) if before.startswith(("TYPE", "#")) else (name + before, name + after)
    assert idle_mock.count(before) == 1
    found = failed(of(idle_mock.replace(before, after)))
    if not verdict:
        assert found == {}
    else:
        assert list(found) == [name]
        assert verdict in found[name]


def test_what_the_build_is_said_never_to_set_is_wrong_when_it_is_there() -> None:
    grown = IDLE + "# TYPE treasury_balance gauge\ntreasury_balance 5\n"
    assert failed(of(grown, STOCK)) == {"treasury_balance": "WRONG listed as dead in build 0ecc756a"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unknown_metric_of_a_listed_system_fails(system: str) -> None:
    name = f"{system}_queue_wait_seconds"
    found = failed(of(IDLE + f"# TYPE {name} gauge\n{name} 5\n", STOCK))
    assert list(found) == [name]
    assert found[name].startswith("UNKNOWN ")


def grown(name: str, label: str, values: int) -> str:
    lines = "".join(f'{name}{{{label}="{value}"}} 1\n' for value in range(values))
    return f"{IDLE}# TYPE {name} counter\n{lines}"


def test_a_label_that_grows_past_its_budget_is_over() -> None:
    assert failed(of(grown("energy_settlement_total", "provider", 201), STOCK)) == {}
    over = {"energy_settlement_total": "OVER more series than its budget"}
    assert failed(of(grown("energy_settlement_total", "provider", 202), STOCK)) == over
    raised = Expected(build="0ecc756a", budgets={"energy_settlement_total": 5})
    assert failed(of(grown("energy_settlement_total", "provider", 6), raised)) == over
    assert failed(of(grown("energy_settlement_total", "provider", 5), raised)) == {}


def test_what_prometheus_drops_may_grow_and_is_told() -> None:
    covered = of(grown("treasury_executor_errors_total", "reason", 9000), STOCK)
    assert failed(covered) == {}
    assert (covered.samples, covered.kept) == (9240, 239)
    (noted,) = (one for one in covered.findings if one.metric == "treasury_executor_errors_total")
    assert noted.notes == ("over its budget; prometheus.yml drops it",)


def test_a_scrape_that_prometheus_would_drop_fails_although_each_metric_is_well() -> None:
    covered = of(IDLE, STOCK, Limits(samples=100))
    assert failed(covered) == {}
    assert covered.breaches == ("sample limit exceeded: 240 samples, 100 allowed",)
    assert table(covered)[-1] == "DROPPED: sample limit exceeded: 240 samples, 100 allowed"
    absent = len(EXPORTED) - 17
    assert summary(covered) == [
        f"build 0ecc756a: 17 there, {absent} absent as expected, 69 others",
        "240 of 100 samples: 1 problem",
    ]


def test_a_thousand_wrong_values_are_said_in_a_few_lines() -> None:
    (said,) = failed(of(grown("energy_dispute_total", "state", 1000), STOCK)).values()
    assert said.startswith("WRONG")
    assert said.endswith("and 997 more")


# The command


def command(*options: str, text: str | None = None, program: str | Path = "", **env: str) -> tuple[int, str, str]:
    """Status, output and errors; never a traceback."""
    run = [str(program)] if program else [sys.executable, "-m", "handbook", "metrics"]
    done = subprocess.run(
        [*run, *options], input=text, capture_output=True, text=True, timeout=120, check=False, cwd=facts.ROOT,
        env={**os.environ, **env},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_script_and_the_command_say_the_same_of_a_live_node(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        status, said, _ = command("--url", node.metrics, "--json", str(tmp_path / "found.json"))
        assert status == 0
        assert said.endswith(": no problems\n")
        assert command(node.metrics, program=SCRIPT) == (0, said, "")
        assert command(program=SCRIPT, METRICS=node.metrics) == (0, said, "")
        assert command("--executor", program=SCRIPT, METRICS=node.metrics)[0] == 1
    found = json.loads((tmp_path / "found.json").read_text())
    jsonschema.Draft202012Validator(facts.schema("metric-coverage")).validate(found)
    assert (found["failed"], len(found["findings"])) == (False, len(EXPORTED))


def test_a_saved_scrape_is_read_from_standard_input() -> None:
    status, said, _ = command("--url", "-", "--build", "0ecc756a", "--executor", text=IDLE)
    assert status == 0
    assert "there            1/1  treasury_executor_last_tick_seconds\n" in said
    assert said.endswith(" absent as expected, 69 others\n239 of 5000 samples: no problems\n")
    assert max(map(len, said.splitlines())) <= 72
    status, said, _ = command("--url", "-", text=IDLE)
    assert status == 1
    assert said.startswith("MISSING          0/8  governance_disbursements_total\n")


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        (["--url", "-"], "", "Error: standard input: is empty\n  hint: "),
        (["--url", "-"], "<html>", "Error: standard input: is a web page, not metrics\n  hint: "),
        (["--url", "-"], IDLE[:5000], "Error: standard input, line 73: cut off: the last line does not end"),
        (["--url", "nowhere"], None, "Error: nowhere: is no http:// address\n  hint: "),
        (["--url", "-", "--build", "x"], IDLE, "Error: --build x: unknown\n  hint: one of contract, 0ecc756a\n"),
        (["--url", "-", "--budget", "x=1"], IDLE, "Error: --budget x=1: x is not in snippets/metrics.yml\n"),
        (["--url", "-", "--budget", "up=many"], IDLE, "Error: --budget up=many: 'many' is no number of series\n"),
        (["--url", "-", "--config", "none.yml"], IDLE, "Error: none.yml: cannot be read: No such file"),
        (["--url", "-", "--json", "/none/x.json"], IDLE, "Error: /none/x.json: cannot be written: No such file"),
    ],
)
def test_nothing_to_compare_is_status_2_and_says_why(options: list[str], text: str | None, message: str) -> None:
    status, _, error = command(*options, text=text)
    assert (status, error[: len(message)]) == (2, message)


def test_the_script_without_the_handbook_says_how_to_get_it(tmp_path: Path) -> None:
    copy = tmp_path / SCRIPT.name
    copy.write_bytes(SCRIPT.read_bytes())
    copy.chmod(0o755)
    status, _, error = command(program=copy, PATH="/usr/bin:/bin")
    assert (status, error) == (
        2,
        f"Error: the command handbook is not installed\n  hint: make -C '{tmp_path}' .venv/ready\n",
    )


def test_metrics_of_something_else_are_no_node() -> None:
    """Such as Prometheus' own, which answers on port 9090."""
    status, _, error = command("--url", "-", text="# TYPE prometheus_build_info gauge\nprometheus_build_info 1\n")
    assert (status, error[:61]) == (1, "hint: not one listed metric is in it: is this the node's metr")


# The limits of prometheus.yml


def test_the_shipped_limits_are_read() -> None:
    read = [LIMITS.samples, LIMITS.body, LIMITS.labels, LIMITS.label_name, LIMITS.label_value]
    assert read == [5000, 4 * 1024 * 1024, 16, 64, 256]
    assert len(LIMITS.dropped) == 3
    assert LIMITS.breaches(scrape.read(IDLE.encode(), "x")) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("scrape_configs: 7\n", "c.yml:1: scrape_configs: expected a list, found 7"),
        ("scrape_configs:\n  - job_name: x\n", "c.yml:1: no job the-block-node\n  hint: jobs: x"),
        (
            "scrape_configs:\n  - job_name: the-block-node\n    body_size_limit: much\n",
            "c.yml:3: body_size_limit 'much'",
        ),
        (
            "scrape_configs:\n  - job_name: the-block-node\n    metric_relabel_configs:\n"
            "      - {source_labels: [code], action: drop}\n",
            "c.yml:4: cannot tell what this rule leaves of a scrape",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_said(tmp_path: Path, config: str, message: str) -> None:
    file = tmp_path / "c.yml"
    file.write_text(config)
    with pytest.raises(scrape_limits.Unreadable) as error:
        scrape_limits.load(file)
    assert message in str(error.value)
