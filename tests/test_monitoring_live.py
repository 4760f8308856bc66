"""A running Alertmanager on loopback: who is really told, with what text, and what a critical alert mutes."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from handbook import facts, rule_tests, rules, tool

MONITORING = facts.ROOT / "monitoring"
ALERTS = {labels["alertname"]: labels for labels in rule_tests.fired(MONITORING / "rules_test.yml")}
ANNOTATIONS = {rule.name: rule.annotations for rule in rules.load_rules(MONITORING / "alert_rules.yml")}


class Listener:
    """Stands for Slack and PagerDuty: keeps what is posted, by path."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path, json.loads(body)))
                self.send_response(202 if self.path == "/pagerduty" else 200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(answers: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not answers():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[tuple[str, Listener]]:
    """The shipped configuration; only the waiting time, the paths of the secrets and PagerDuty's address differ."""
    listener = Listener()
    config = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())
    config["route"]["group_wait"] = "0s"
    for receiver in config["receivers"]:
        for slack in receiver.get("slack_configs", []):
            secret = tmp_path / Path(slack["api_url_file"]).name
            secret.write_text(f"{listener.url}/{secret.name}")
            slack["api_url_file"] = str(secret)
        for pager in receiver.get("pagerduty_configs", []):
            secret = tmp_path / Path(pager["routing_key_file"]).name
            secret.write_text("0123456789abcdef0123456789abcdef")
            pager |= {"routing_key_file": str(secret), "url": f"{listener.url}/pagerduty"}
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "notifications.tmpl").write_text((MONITORING / "notifications.tmpl").read_text())
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                tool.program("prometheus-alertmanager"),
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}/-/ready"))
        yield url, listener
    finally:
        process.kill()
        process.wait()
        listener.server.shutdown()
        listener.server.server_close()


def send(url: str, *names: str) -> None:
    now = datetime.now(UTC).isoformat()
    alerts = [
        {"labels": {**ALERTS[name], "cluster": "main"}, "annotations": ANNOTATIONS[name], "startsAt": now}
        for name in names
    ]
    request = urllib.request.Request(
        f"{url}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.status == 200


def test_each_severity_reaches_its_people_and_a_critical_alert_mutes_the_warnings_of_its_page(
    alertmanager: tuple[str, Listener],
) -> None:
    url, listener = alertmanager
    send(url, "TreasuryExecutorSilent")
    wait_until(lambda: len(listener.posts) == 2)
    send(url, "TreasuryDisbursementLagHigh", "TreasuryCounterShort", "TreasurySeriesMissing")
    wait_until(lambda: len(listener.posts) == 4)
    time.sleep(1)  # the muted alert must not come after all
    told = sorted((path, _title(body)) for path, body in listener.posts)
    assert told == [
        ("/pagerduty", "[FIRING 1] TreasuryExecutorSilent (critical) on main"),
        ("/slack_alerts_url", "[FIRING 1] TreasuryCounterShort (warning) on main"),
        ("/slack_treasury_team_url", "[FIRING 1] TreasuryExecutorSilent (critical) on main"),
        ("/slack_treasury_team_url", "[FIRING 1] TreasurySeriesMissing (info) on main"),
    ]
    (pager,) = [body for path, body in listener.posts if path == "/pagerduty"]
    runbook = "https://handbook.the-block.example/runbooks/treasury-disbursement-stuck/"
    assert pager["links"] == [{"href": runbook, "text": "Runbook"}]
    assert f"Runbook: {runbook}\nDashboard: treasury/105" in pager["payload"]["custom_details"]["alerts"]


def _title(body: dict[str, Any]) -> str:
    return str(body["payload"]["summary"] if "payload" in body else body["attachments"][0]["title"])
