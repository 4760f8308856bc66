"""The week of a threshold: figures that Prometheus itself confirms, and plain words where there is no week."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from handbook import facts
from handbook.__main__ import main
from handbook.monitoring import rules
from handbook.monitoring.prometheus import Prometheus
from handbook.monitoring.query_api import QueryApi, QueryFailed
from handbook.pages.page import read_page
from handbook.tuning import staging_week, thresholds, tune, tuning, tuning_plot, tuning_table
from handbook.tuning.tuning import Measured, Window

RULES = rules.load_rules(*tune.RULES)
KEYS = ("TreasuryDisbursementLagHigh", "TreasuryExecutorSilent", "TreasuryCounterShort")
CHOSEN = tuple(one for one in thresholds.load() if one.key in KEYS)
WEEK = Window(staging_week.START, staging_week.END)


@pytest.fixture(scope="module")
def api() -> Iterator[QueryApi]:
    """A Prometheus with the synthetic week, as far as three thresholds rest on it."""
    with tune.synthetic(RULES, CHOSEN) as found:
        yield found


@pytest.fixture(scope="module")
def measured(api: QueryApi) -> list[Measured]:
    found, problems = tuning.measure(
        api, CHOSEN, RULES, WEEK, lambda one, points: points["p99"] if not one.low else None
    )
    assert problems == []
    return found


def test_the_percentiles_are_prometheus_own(api: QueryApi, measured: list[Measured]) -> None:
    """Its quantile_over_time over the same evaluations, for the measure that has no value that is not finite."""
    one = next(m for m in measured if m.threshold.key == "TreasuryExecutorSilent")
    for name, share in tuning.POINTS.items():
        query = f"quantile_over_time({share}, {one.threshold.measure}[7d:30s] @ {staging_week.END})"
        ((_, value),) = api.now(query, staging_week.END)
        assert one.points[name] == pytest.approx(value, rel=1e-3), name
    ((_, count),) = api.now(f"count_over_time({one.threshold.measure}[7d:30s])", staging_week.END)
    assert abs(one.count - count) <= 1


def test_the_alert_is_replayed_by_its_own_expression(api: QueryApi, measured: list[Measured]) -> None:
    """How often the expression holds is Prometheus' count; without `for` that is the time it fires."""
    lag = next(m for m in measured if m.threshold.key == "TreasuryDisbursementLagHigh")
    ((_, held),) = api.now("count_over_time((treasury:disbursement_lag:p95 > 300)[7d:30s])", staging_week.END)
    assert lag.now.share * WEEK.seconds / tuning.STEP == pytest.approx(held, abs=len(lag.now.firings) + 1)
    assert lag.now.pages > 3


def test_a_lower_number_pages_no_less_time_and_a_higher_one_no_more(measured: list[Measured]) -> None:
    for one in measured:
        assert one.eightieth.share >= one.now.share, one.threshold.key
        if one.proposed:
            assert one.proposed.share <= one.eightieth.share, one.threshold.key


def test_a_fifth_of_the_values_is_beyond_the_eightieth_percentile(measured: list[Measured]) -> None:
    lag, _, short = (next(m for m in measured if m.threshold.key == key) for key in KEYS)
    for one in (lag, short):
        bound = one.eightieth.value
        values = [v for samples in one.values.values() for _, v in samples]
        beyond = sum(v < bound if one.threshold.low else v > bound for v in values)
        at_least = beyond + sum(v == pytest.approx(bound, rel=0.005) for v in values)
        assert beyond / len(values) <= 0.21 and 0.19 <= at_least / len(values), one.threshold.key


def test_for_is_honoured(api: QueryApi) -> None:
    silent = next(one for one in CHOSEN if one.key == "TreasuryExecutorSilent")
    patient = tuple(replace(rule, waits="50m") if rule.name == silent.alert else rule for rule in RULES)
    now = tuning.replayed(api, silent, RULES, WEEK, 120)
    later = tuning.replayed(api, silent, patient, WEEK, 120)
    assert (now.pages, later.pages) == (4, 1), "the executor is dead for 38 and for 55 minutes, the node down twice"


def test_the_page_shows_these_figures(measured: list[Measured]) -> None:
    page = (facts.ROOT / "docs" / "thresholds.md").read_text()
    rows = {line.split()[0]: line.split() for line in tuning_table.table(measured, WEEK).splitlines() if line}
    for key in KEYS:
        shown = next(line for line in page.splitlines() if line.startswith(key) and "%" in line).split()
        assert shown == rows[key][: len(shown)], f"{key}: handbook verify --update docs/thresholds.md"


def test_a_picture_of_each_in_both_schemes_and_twice_the_same(measured: list[Measured], tmp_path: Path) -> None:
    first = tuning_plot.plot_all(measured, WEEK, tmp_path / "a", staging_week.MARK)
    second = tuning_plot.plot_all(measured, WEEK, tmp_path / "b", staging_week.MARK)
    assert [file.name for file in first] == [
        f"{one.key}-{scheme}.svg" for one in CHOSEN for scheme in ("light", "dark")
    ]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    assert len({file.read_bytes() for file in first}) == 6


def test_a_series_that_is_not_there_and_one_with_little_data_are_told(api: QueryApi) -> None:
    gone = replace(CHOSEN[0], measure="energy_provider_total")
    few = replace(CHOSEN[1], measure=f"treasury_balance and on () (vector(time()) > {staging_week.END - 1200})")
    found, problems = tuning.measure(api, (gone, few), RULES, WEEK)
    assert found == []
    assert [one.message for one in problems] == [
        f"{gone.alert}: no series `energy_provider_total` in the window",
        f"{few.alert}: 40 values of `{few.measure}`, fewer than 100",
    ]


def test_a_window_that_the_data_do_not_fill_is_refused(api: QueryApi) -> None:
    (found,) = tuning.check_window(api, Window(staging_week.START - 14 * 86_400, staging_week.END))
    assert (found.message, found.hint) == (
        "its data span 7.0 of the window's 21 days",
        "wait until the window is full, or take --window 7.0d",
    )
    (found,) = tuning.check_window(api, Window(0, 86_400 * 7))
    assert found.message == "it scraped nothing in the window"


def test_a_window_longer_than_the_retention_is_refused() -> None:
    server = Prometheus()
    try:
        assert server.wait_for("vector(1)", 240)
        (found,) = tuning.check_window(QueryApi(server.url), Window(0, 30 * 86_400))
    finally:
        server.stop()
    assert found.message == "it keeps 15 days, the window has 30"


class _Page(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b"<html>Grafana</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """No line per request."""


def test_what_is_no_prometheus_is_told(api: QueryApi) -> None:
    with pytest.raises(QueryFailed, match="no Prometheus answers there: "):
        QueryApi("http://127.0.0.1:1").now("up")
    with pytest.raises(QueryFailed, match="no address of a Prometheus"):
        QueryApi("localhost").now("up")
    with pytest.raises(QueryFailed, match=r"Prometheus refuses: .*parse error(.|\n)*asked: rate\("):
        api.now("rate(")
    server = HTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(QueryFailed, match="what answers there is no Prometheus: status 200"):
            QueryApi(f"http://127.0.0.1:{server.server_port}").now("up")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --prometheus URL, or --synthetic"),
        (["--synthetic", "--prometheus", "http://127.0.0.1:1"], "give --prometheus URL, or --synthetic"),
        (["--synthetic", "--write"], "--write writes the numbers of --set"),
        (["--synthetic", "--set", "X"], "expected ALERT=NUMBER"),
        (["--synthetic", "--set", "X=5"], "no threshold X"),
        (["--synthetic", "--set", "OracleLatencyHigh=p42"], "expected a number or one of min, p50"),
        (["--synthetic", "Nonsense"], "no threshold Nonsense"),
        (["--prometheus", "http://127.0.0.1:1", "--window", "soon"], "is no duration"),
        (["--prometheus", "http://127.0.0.1:1", "--window", "5m"], "too short for a percentile"),
        (["--prometheus", "http://127.0.0.1:1"], "no Prometheus answers there"),
    ],
)
def test_a_bad_request_is_told_before_anything_runs(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(main, ["thresholds", *arguments])
    assert done.exit_code != 0
    assert told in done.output.replace("\n", " ")


def test_the_page_has_a_place_for_the_picture_of_each_threshold() -> None:
    markers = [
        line.text for line in read_page(facts.ROOT / "docs" / "thresholds.md").text if "<!-- picture:" in line.text
    ]
    assert len(markers) == len(thresholds.load())
