"""The two dashboards, and the renumbering of panels."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from handbook import facts
from handbook.monitoring import catalogue, dashboards, promql, renumber, rules
from handbook.problem import Problem

MONITORING = facts.ROOT / "monitoring"
CASES = Path(__file__).parent / "cases" / "monitoring"
FILES = [MONITORING / "grafana_treasury_dashboard.json", MONITORING / "grafana_energy_dashboard.json"]
RULES = rules.load_rules(MONITORING / "prometheus_recording_rules.yml", MONITORING / "alert_rules.yml")
KNOWN = rules.known_series(RULES, catalogue.load())


def ids(dashboard: dict[str, Any]) -> list[int]:
    return [panel["id"] for _, panel in renumber.panels(dashboard)]


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CASES / name).read_text())
    return loaded


def at(name: str, line: int) -> str:
    return f"tests/cases/monitoring/{name}:{line}"


def seed_sed(text: str, prefix: str) -> str:
    """`sed 's/"id": \\([0-9]\\),/"id": 10\\1,/g'`, and its forgiving form without the comma."""
    return re.sub(r'"id": ([0-9])', rf'"id": {prefix}\1', text)


def test_both_dashboards_are_in_order() -> None:
    assert dashboards.check_dashboards(FILES, KNOWN) == []


def test_there_are_48_panels_and_53_queries() -> None:
    loaded = [dashboards.load_dashboard(file) for file in FILES]
    assert [(one.uid, len(one.ids)) for one in loaded] == [("treasury", 27), ("energy", 21)]
    assert [sum(len(p.get("targets", [])) for _, p in renumber.panels(one.data)) for one in loaded] == [29, 25]


def test_every_alert_links_to_a_panel_there_is() -> None:
    panels = {one.uid: one.ids for one in map(dashboards.load_dashboard, FILES)}
    assert rules.check_panels(RULES, panels) == []
    silent = next(rule for rule in RULES if rule.name == "TreasuryExecutorSilent")
    assert rules.check_panels((silent,), {"treasury": frozenset({100})}) == [
        Problem(silent.where, "TreasuryExecutorSilent: no panel treasury/105", "UID/PANEL; dashboards: treasury")
    ]


def test_every_alert_s_panel_draws_what_the_alert_sees() -> None:
    loaded = [dashboards.load_dashboard(file) for file in FILES]
    assert dashboards.check_alerts(RULES, loaded) == []
    silent = next(rule for rule in RULES if rule.name == "TreasuryExecutorSilent")
    elsewhere = rules.Rule(**{**vars(silent), "annotations": {"dashboard": "treasury/104"}})
    message = "TreasuryExecutorSilent: panel treasury/104 draws none of treasury:executor_tick:age_seconds"
    assert dashboards.check_alerts((elsewhere,), loaded) == [
        Problem(silent.where, message, "it draws treasury_balance")
    ]


def test_the_dashboards_ask_for_recorded_quantiles_and_compute_none() -> None:
    expressions = [
        target["expr"]
        for file in FILES
        for _, panel in renumber.panels(json.loads(file.read_text()))
        for target in panel.get("targets", [])
    ]
    assert [one for one in expressions if "histogram_quantile" in one] == []
    used = {name for one in expressions for name in re.findall(r"\w+:\w+:\w+", one)}
    assert set(KNOWN.recorded) - used == {"treasury:disbursement_backlog:open"}


def test_dashboards_that_both_count_from_one_collide_on_every_panel() -> None:
    files = [CASES / "colliding_treasury.json", CASES / "colliding_energy.json"]
    taken = [one for one in dashboards.check_dashboards(files, KNOWN) if "is taken by" in one.message]
    assert len(taken) == 7
    assert taken[0] == Problem(
        at("colliding_energy.json", 17),
        f"panel id 1 is taken by {at('colliding_treasury.json', 17)}",
        "handbook dashboards renumber FILE --from N",
    )


def test_renumbering_gives_them_the_ids_they_should_have(tmp_path: Path) -> None:
    for name, start in (("colliding_treasury.json", 100), ("colliding_energy.json", 200)):
        shutil.copy(CASES / name, tmp_path / name)
        renumber.renumber_file(tmp_path / name, start)
    files = [tmp_path / "colliding_treasury.json", tmp_path / "colliding_energy.json"]
    assert [ids(json.loads(file.read_text())) for file in files] == [[*range(100, 107)], [*range(200, 208)]]
    assert dashboards.check_dashboards(files, KNOWN) == []


def test_the_seeds_sed_breaks_a_dashboard() -> None:
    text = (CASES / "many_ids.json").read_text()
    broken: dict[str, Any] = json.loads(seed_sed(text, "10"))
    assert ids(broken) == [101, 102, 109, 1012, 1013]
    assert [broken["id"], broken["annotations"]["list"][0]["id"]] == [107, 104]
    assert broken["panels"][2]["panels"][0]["options"]["id"] == 103
    assert broken["panels"][0]["links"][0]["url"] == "/d/treasury?viewPanel=2"
    assert ids(json.loads(seed_sed(seed_sed(text, "10"), "10")))[0] == 10101


def test_renumbering_touches_panel_ids_and_what_refers_to_them_only() -> None:
    before = load("many_ids.json")
    after, changed = renumber.renumber(before, 100)
    assert changed == {1: 100, 2: 101, 9: 102, 12: 103, 13: 104}
    assert ids(after) == [100, 101, 102, 103, 104]
    assert [after["id"], after["annotations"]["list"][0]["id"]] == [7, 4]
    nested, reusing = after["panels"][2]["panels"]
    assert nested["options"] == {"matcher": {"id": "byName"}, "id": 3}
    assert [link["url"] for link in after["panels"][0]["links"]] == [
        "/d/treasury?viewPanel=101",
        "/d/energy?viewPanel=2",
    ]
    assert [reusing["targets"][0]["panelId"], after["annotations"]["list"][0]["filter"]["ids"]] == [101, [103]]
    assert before == load("many_ids.json")


@pytest.mark.parametrize("file", [CASES / "many_ids.json", CASES / "colliding_treasury.json", FILES[0]])
def test_renumbering_twice_changes_nothing_more(file: Path) -> None:
    once, _ = renumber.renumber(json.loads(file.read_text()), 100)
    assert renumber.renumber(once, 100) == (once, {})


def test_a_panel_that_came_later_gets_the_next_free_id_and_the_others_keep_theirs() -> None:
    dashboard = {"uid": "treasury", "panels": [{"id": 104}, {"id": 3}, {}, {"id": 104}]}
    after, changed = renumber.renumber(dashboard, 100)
    assert (ids(after), changed) == ([104, 100, 102, 101], {3: 100})


def test_more_panels_than_a_range_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="101 panels do not fit into the 100 ids from 100 on"):
        renumber.renumber({"panels": [{"id": number} for number in range(101)]}, 100)


def test_a_file_in_order_is_not_rewritten(tmp_path: Path) -> None:
    file = tmp_path / "dashboard.json"
    file.write_text('{"panels":[{"id":100}]}')
    assert (renumber.renumber_file(file, 100), file.read_text()) == ({}, '{"panels":[{"id":100}]}')


def test_a_fragment_with_a_comment_is_no_json() -> None:
    (found,) = dashboards.check_dashboards([CASES / "fragment.json"], KNOWN)
    assert found == Problem(
        at("fragment.json", 1), "not JSON: Expecting value (column 1)", "JSON has no comments: take the comment out"
    )


def test_a_fragment_is_no_dashboard(tmp_path: Path) -> None:
    file = tmp_path / "fragment.json"
    file.write_text('{"alert": {"name": "Disbursement Lag Alert"}}')
    (found,) = dashboards.check_dashboards([file], KNOWN)
    assert found.message == "not a dashboard: it lacks uid, title, schemaVersion, panels"


BAD_PANELS = [
    "no panel 106",
    "panel id 300 is outside 100 to 199",
    "panel 101 overlaps panel 100",
    "panel 104: reaches beyond column 24",
    "panel 100: type graph is no longer in Grafana",
    "panel 101: a legacy alert",
    "panel 102: no unit",
    "panel 103: unknown series treasury:balance:ct:total",
    "a link leads to panel 111, which treasury has not",
]


def test_each_thing_that_is_wrong_with_a_panel_is_found_with_its_line() -> None:
    found = dashboards.check_dashboards([CASES / "bad_panels.json"], KNOWN)
    assert [one.message for one in found] == BAD_PANELS
    lines = (CASES / "bad_panels.json").read_text().splitlines()
    graph = next(one for one in found if "type graph" in one.message)
    assert graph.where == at("bad_panels.json", 1 + lines.index('      "type": "graph",'))


def test_grafanas_own_variables_are_known_to_the_parser() -> None:
    assert promql.check_query("increase(energy_readings_total[$__range])", KNOWN) == []
