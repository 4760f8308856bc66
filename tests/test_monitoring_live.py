"""A running Alertmanager on loopback: who is really told, with what text, and what a critical alert mutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from handbook.chain.config import MONITORING
from handbook.chain.pager import Pager
from handbook.chain.process import wait_until
from handbook.chain.recorder import Message
from handbook.chain.walk import receivers
from handbook.monitoring.rules import Rule, load_rules

ALERTS = {rule.name: rule for rule in load_rules(MONITORING / "alert_rules.yml") if rule.alert}
LONG_ENOUGH = 3.0
"""Seconds in which a message that must not come would have come: a group waits for 0.8 s."""
NODES = count(1)
Sent = dict[str, Any]


def one_of(severity: str) -> list[Rule]:
    return [rule for rule in ALERTS.values() if rule.labels["severity"] == severity]


PAIRS = [
    (critical, warning)
    for critical in one_of("critical")
    for warning in one_of("warning")
    if critical.labels["runbook"] == warning.labels["runbook"]
]
STRANGERS = [
    (critical, warning)
    for critical in one_of("critical")
    for warning in one_of("warning")
    if critical.labels["runbook"] != warning.labels["runbook"]
]


@pytest.fixture(scope="module")
def pager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pager]:
    """The shipped routes, texts and inhibitions. Each test has nodes of its own."""
    found = Pager(tmp_path_factory.mktemp("pager"))
    yield found
    found.stop()


def node() -> str:
    return f"node-{next(NODES)}:9898"


def alert(rule: Rule, instance: str, **other: str) -> Sent:
    """As Prometheus sends it, which says again and again until when it holds."""
    labels = {**rule.labels, "alertname": rule.name, "job": "the-block-node", "instance": instance, "cluster": "main"}
    now = datetime.now(UTC)
    return {
        "labels": labels | other,
        "annotations": rule.annotations,
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=10)).isoformat(),
    }


def told(pager: Pager, sent: Sent) -> set[str]:
    """The receivers that have heard of just this alert."""
    return {
        message.receiver
        for message in pager.recorder.messages("webhook")
        for one in message.alerts("firing")
        if one["labels"] == sent["labels"]
    }


def wait(pager: Pager, *sent: Sent) -> None:
    for one in sent:
        expected = receivers(ALERTS[one["labels"]["alertname"]])
        wait_until(f"{one['labels']} told to {set(expected)}", partial(_heard, pager, one, expected))


def _heard(pager: Pager, sent: Sent, expected: frozenset[str]) -> bool:
    return told(pager, sent) >= expected


def state(pager: Pager, sent: Sent) -> str:
    """active or suppressed; empty when Alertmanager does not hold it."""
    return next((str(one["status"]["state"]) for one in pager.active() if one["labels"] == sent["labels"]), "")


def test_each_alert_reaches_its_people_and_nobody_else(pager: Pager) -> None:
    sent = [alert(rule, node()) for rule in ALERTS.values()]
    pager.send(sent)
    wait(pager, *sent)
    time.sleep(LONG_ENOUGH)
    assert [told(pager, one) for one in sent] == [set(receivers(rule)) for rule in ALERTS.values()]


def test_a_critical_alert_mutes_the_warnings_of_its_page_and_node_only(pager: Pager) -> None:
    assert PAIRS and STRANGERS
    muted, heard = [], []
    for critical, warning in PAIRS:
        one, other = node(), node()
        source = alert(critical, one)
        pager.send([source])
        wait_until("the critical alert there", partial(state, pager, source))
        muted.append(alert(warning, one))
        heard += [alert(warning, other), alert(warning, one, cluster="test"), alert(warning, one, job="another")]
    for critical, warning in STRANGERS:
        one = node()
        pager.send([alert(critical, one)])
        heard.append(alert(warning, one))
    pager.send([*muted, *heard])
    wait(pager, *heard)
    time.sleep(LONG_ENOUGH)
    assert [told(pager, one) for one in muted] == [set()] * len(PAIRS)
    assert {state(pager, one) for one in muted} == {"suppressed"}


def test_the_info_of_the_same_page_is_not_muted(pager: Pager) -> None:
    (info,) = [rule for rule in one_of("info") if rule.name == "TreasurySeriesMissing"]
    one = node()
    pager.send([alert(ALERTS["NodeMetricsMissing"], one), alert(info, one)])
    wait(pager, alert(info, one))


def test_one_alert_on_two_nodes_is_one_message_on_each_network(pager: Pager) -> None:
    rule = ALERTS["TreasuryCounterShort"]
    sent = [alert(rule, node(), cluster="grouped"), alert(rule, node(), cluster="grouped")]
    apart = alert(rule, node(), cluster="apart")
    pager.send([*sent, apart])
    wait(pager, *sent, apart)
    groups = [
        {one["labels"]["instance"] for one in message.alerts("firing")}
        for message in pager.recorder.messages("webhook")
        if message.body["groupLabels"].get("cluster") in ("grouped", "apart")
    ]
    assert groups == [{one["labels"]["instance"] for one in sent}, {apart["labels"]["instance"]}] or groups == [
        {apart["labels"]["instance"]},
        {one["labels"]["instance"] for one in sent},
    ]


def texts(pager: Pager, kind: str, cluster: str) -> list[Message]:
    return [message for message in pager.recorder.messages(kind) if f" on {cluster}" in message.text]


def test_slack_and_pagerduty_are_told_what_where_and_what_to_do(pager: Pager) -> None:
    rule = ALERTS["TreasuryExecutorSilent"]
    sent = alert(rule, node(), cluster="shape")
    pager.send([sent])
    wait_until("both told", lambda: texts(pager, "slack", "shape") and texts(pager, "pagerduty", "shape"))
    (slack,), (pagerduty,) = (texts(pager, kind, "shape") for kind in ("slack", "pagerduty"))
    title = "[FIRING 1] TreasuryExecutorSilent (critical) on shape"
    runbook = rule.annotations["runbook_url"]
    (attachment,) = slack.body["attachments"]
    assert (slack.receiver, slack.body["channel"]) == ("treasury-team", "#treasury-team")
    assert (attachment["title"], attachment["title_link"]) == (title, runbook)
    assert f"Runbook: {runbook}\nDashboard: treasury/105" in attachment["text"]
    body = pagerduty.body
    assert (body["event_action"], body["payload"]["severity"], body["payload"]["summary"]) == (
        "trigger",
        "critical",
        title,
    )
    assert body["links"] == [{"href": runbook, "text": "Runbook"}]
    assert rule.annotations["summary"] in body["payload"]["custom_details"]["alerts"]


def test_the_end_of_an_alert_is_told_and_closes_the_incident(pager: Pager) -> None:
    sent = alert(ALERTS["TreasuryExecutorSilent"], node(), cluster="ended")
    pager.send([sent])
    wait(pager, sent)
    pager.send([sent | {"endsAt": datetime.now(UTC).isoformat()}])
    wait_until("both told", lambda: all(len(texts(pager, kind, "ended")) > 1 for kind in ("slack", "pagerduty")))
    opened, closed = texts(pager, "pagerduty", "ended")
    assert (opened.body["event_action"], closed.body["event_action"]) == ("trigger", "resolve")
    assert opened.body["dedup_key"] == closed.body["dedup_key"]
    title = texts(pager, "slack", "ended")[-1].body["attachments"][0]["title"]
    assert title == "[RESOLVED] TreasuryExecutorSilent (critical) on ended"


def test_a_text_that_fails_costs_the_message(tmp_path: Path) -> None:
    source = tmp_path / "monitoring"
    source.mkdir()
    for name in ("alertmanager.yml", "notifications.tmpl"):
        text = (MONITORING / name).read_text().replace("{{ .Annotations.summary }}", "{{ .Annotations.summary.no }}")
        (source / name).write_text(text)
    pager = Pager(tmp_path, source)
    try:
        sent = alert(ALERTS["TreasuryCounterShort"], node())
        pager.send([sent])
        wait(pager, sent)
        log = tmp_path / "prometheus-alertmanager.log"
        wait_until("Alertmanager complains", lambda: "unrecoverable error" in log.read_text())
        assert pager.recorder.messages("slack") == []
    finally:
        pager.stop()
