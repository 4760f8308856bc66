"""Every panel on a live Prometheus that scrapes a mock node at work, and what a panel must lead to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from node_process import NodeProcess

from handbook import facts
from handbook.control import Control, Refused
from handbook.monitoring import dashboards, panels, rules
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.prometheus import Prometheus
from handbook.monitoring.query_api import QueryApi
from handbook.monitoring.shift import STEP, Shift

MONITORING = facts.ROOT / "monitoring"
BOARDS = [dashboards.load_dashboard(MONITORING / f"grafana_{name}_dashboard.json") for name in ("treasury", "energy")]
RULES = rules.load_rules(MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml")
LET_THROUGH = {f"TB_RPC_ENERGY_{name}_TOKENS_PER_SEC": "1e9" for name in ("READ", "SUBMIT", "SETTLE", "DISPUTE")}
LIMITED = LET_THROUGH | {"TB_RPC_TOKENS_PER_SEC": "300", "TB_RPC_BAN_SECS": "1"}
STEPS = 60


def asking(client: Control) -> Callable[[str, dict[str, Any]], Any]:
    def ask(method: str, params: dict[str, Any]) -> Any:
        try:
            return client.call(method, params)
        except Refused:
            return None

    return ask


def test_every_query_returns_data_from_a_node_at_work(tmp_path: Path) -> None:
    """The shift of the previews, over HTTP and scraped by Prometheus, until nothing is missing."""
    excuses = panels.excused()
    with NodeProcess(tmp_path, env=LIMITED, treasury_balance=500_000) as node:
        server = Prometheus(node.metrics)
        try:
            assert server.wait_for('up{job="the-block-node"}', 240)
            started = time.time()
            shift = Shift(asking(node.rpc), asking(node.control), int(started) - STEPS * STEP)
            shift.begin()
            for number in range(STEPS):
                shift.step(number / STEPS)
                time.sleep(0.25)  # a scrape a second, which has to see things change
            for _ in range(400):  # a client that does not wait
                shift.rpc("gov.treasury.balance", {})
            shown, problems = [], ["not asked yet"]
            deadline = time.monotonic() + 240
            while problems and time.monotonic() < deadline:
                time.sleep(2)
                now = time.time()
                shown = [one for board in BOARDS for one in panels.ask(QueryApi(server.url), board, started, now, 1)]
                problems = [str(problem) for problem in panels.check_data(shown, excuses)]
        finally:
            server.stop()
    assert problems == []
    assert [len(shown), sum(one.queries for one in shown), len(excuses)] == [42, 54, 5]
    assert sum(len(one.empty) for one in shown) == 5


def broken(board: Dashboard, change: Callable[[dict[str, Any]], None], panel: int) -> Dashboard:
    data = json.loads(json.dumps(board.data))
    change(next(one for one in data["panels"] if one["id"] == panel))
    return replace(board, data=data)


def test_panels_that_alerts_name_lead_to_their_runbooks() -> None:
    assert panels.check_runbooks(BOARDS, RULES) == []
    assert sum(bool(rule.annotations.get("dashboard")) for rule in RULES) == 24
    unlinked = broken(BOARDS[0], lambda panel: panel.pop("links"), 105)
    (found,) = panels.check_runbooks([unlinked, BOARDS[1]], RULES)
    assert found.message == (
        "panel treasury/105 has no link to https://handbook.the-block.example/runbooks/treasury-disbursement-stuck/"
    )
    assert found.hint == "TreasuryExecutorSilent names it"


def test_a_panel_that_computes_what_is_recorded_is_found() -> None:
    assert panels.check_recorded(BOARDS, RULES) == []

    def compute(panel: dict[str, Any]) -> None:
        panel["targets"][0]["expr"] = (
            "histogram_quantile( 0.95, sum by (job, instance, le) "
            '(rate(treasury_disbursement_lag_seconds_bucket{instance=~"$instance"}[5m])))'
        )

    (found,) = panels.check_recorded([broken(BOARDS[0], compute, 102)], RULES)
    assert (found.message, found.hint) == ("panel 102 computes what is recorded", "use treasury:disbursement_lag:p95")


def test_a_query_without_data_and_an_excuse_without_need_are_found() -> None:
    full = panels.Shown("treasury/100", {}, "x.json:1", (), 1, ())
    empty = panels.Shown("treasury/101", {}, "x.json:9", (), 2, ("up == 7",))
    assert [str(one).partition("\n")[0] for one in panels.check_data([full, empty], {})] == [
        "x.json:9: panel treasury/101 returns no data: up == 7"
    ]
    found = [
        one.message for one in panels.check_data([full, empty], {"treasury/100": "", "treasury/101": "", "x/1": ""})
    ]
    assert found == ["panel treasury/100 has data and needs no excuse", "there is no panel x/1"]


def test_grafanas_variables_are_put_in() -> None:
    assert panels.filled('rate(m{instance=~"$instance"}[$__rate_interval])', 60) == 'rate(m{instance=~".*"}[5m])'
    assert panels.filled('increase(m{instance=~"${instance}"}[$__range])', 3600) == 'increase(m{instance=~".*"}[3600s])'


def test_a_line_is_called_what_the_legend_says() -> None:
    labels = (("__name__", "m"), ("instance", "i"), ("status", "queued"))
    assert panels.named("{{status}} on {{ instance }}{{gone}}", labels) == "queued on i"
    assert panels.named("", labels) == "instance=i, status=queued"
