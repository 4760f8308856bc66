"""Labels that callers fill: bounded in the mock; and what a real Prometheus with the shipped limits makes of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from node_process import NO_LIMIT, RECORDINGS, ask, fresh_node, payload, timelocked

from handbook import facts, tool
from handbook.monitoring import catalogue, metric_coverage, scrape, scrape_limits
from handbook.node import world
from handbook.node.exposition import render
from handbook.node.gate import Caller
from handbook.node.node import Node
from handbook.node.readings import Reading, digest, meter_hash
from handbook.ports import free_port

MONITORING = facts.ROOT / "monitoring"
IDLE = (RECORDINGS / "metrics-idle-executor.txt").read_text()
MARK = "flood"
"""Stands in every text that a caller makes up, so that one look at the scrape finds any that became a label."""
NASTY = ['"', "\\", "\n", '\\"', "\t", "é", "\ud800", "}", "{", '",x="', "\r", "\0", ""]
PROVIDERS, CLIENTS, METHODS, TEXTS = 250, 400, 300, 1000
LISTED = catalogue.load()
LIMITS = scrape_limits.load()


@contextlib.contextmanager
def serving(text: Callable[[], str]) -> Iterator[str]:
    """A metrics listener on loopback, as `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def prometheus(directory: Path, *targets: str) -> Iterator[Callable[[str], Any]]:
    """The shipped configuration; only the targets, the paths and the pace differ. Gives a client of its API."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
    del config["alerting"]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == scrape_limits.JOB]
    config["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [
                tool.program("prometheus"),
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )

    def api(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5) as answer:
                return json.loads(answer.read())["data"]
        except OSError:
            assert process.poll() is None, (directory / "log").read_text()
            return None

    try:
        yield api
    finally:
        process.terminate()
        process.wait(30)


def await_(found: Callable[[], Any], seconds: float = 60) -> Any:
    """The first answer that is something."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)
    return answer


def health(api: Callable[[str], Any]) -> dict[str, tuple[str, str]]:
    """Health and last error of each target that was scraped."""
    active = (api("targets?state=active") or {"activeTargets": []})["activeTargets"]
    return {
        one["labels"]["instance"]: (one["health"], one["lastError"]) for one in active if one["health"] != "unknown"
    }


def value(api: Callable[[str], Any], query: str) -> float | None:
    found = (api(f"query?query={query}") or {"result": []})["result"]
    return float(found[0]["value"][1]) if found else None


# The flood


def flood(node: Node) -> None:
    """Everything that a caller can make up, and more of it than any label keeps apart."""
    for number in range(METHODS):
        assert "error" in ask(node, f"{MARK}.method{number}")
        assert "error" in ask(node, f"energy.{MARK}{number}")
    for number in range(CLIENTS):
        node.limiter.refuse(f"10.1.{number // 256}.{number % 256}", 0)
        ask(node, "consensus.difficulty", caller=Caller(peer=f"10.2.{number // 256}.{number % 256}"))
    for number in range(200):
        text = f"{MARK}{number}{NASTY[number % len(NASTY)]}".encode("utf-8", "replace").decode()
        details = payload(memo=text)
        details["payload"]["disbursement"]["destination"] = f"tb1{MARK}{number}"
        details["payload"]["proposal"] |= {"title": text, "summary": text}
        ask(node, "gov.treasury.submit_disbursement", details)
        ask(node, "gov.treasury.disbursements", {"status": text})
        ask(node, "gov.treasury.rollback_disbursement", {"id": number, "reason": text})
    energy(node)
    timelocked(node, 100)
    node.start_executor("manual")
    node.faults.add("mempool_full", None)
    assert node.executor
    for _ in range(3):
        node.executor.tick()
    node.commit()
    for number in range(TEXTS):  # where the executor hands over the node's own text
        node.metrics.errors.add(f"{MARK} {number} {NASTY[number % len(NASTY)]}")
        node.metrics.errors.add("x" * (200 + number))


def energy(node: Node) -> None:
    """Each provider is registered, read, settled short of the quorum and in full, disputed; and refused in each way."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    world.energy(node, {"rehearsal": False})
    for number in range(PROVIDERS):
        meter = f"{MARK}-meter-{number}"
        terms = {"capacity_kwh": 1000, "price_per_kwh": 3, "stake": 5000, "meter_address": meter}
        answer = ask(node, "energy.register_provider", terms | {"jurisdiction": MARK})
        id_ = answer["result"]["provider_id"]
        world.energy(node, {"provider_id": id_, "public_key_hex": public})
        unsigned = Reading(id_, meter, 10, node.now(), 1, b"")
        given = {"provider_id": id_, "meter_address": meter, "kwh_reading": 10, "timestamp": node.now(), "nonce": 1}
        ask(node, "energy.submit_reading", given | {"signature": "00" * 64})
        ask(node, "energy.submit_reading", given | {"provider_id": f"{MARK}{number}", "signature": "00" * 64})
        signature = key.sign(digest(unsigned))
        assert "result" in ask(node, "energy.submit_reading", given | {"signature": signature.hex()})
        hash_ = meter_hash(Reading(id_, meter, 10, node.now(), 1, signature))
        settle = {"provider_id": id_, "buyer": f"{MARK}{number}", "kwh_consumed": 5, "meter_hash": hash_}
        assert "error" in ask(node, "energy.settle", settle | {"meter_hash": f"{number:064x}"})
        world.energy(node, {"quorum_threshold_ppm": 900_000})
        assert "error" in ask(node, "energy.settle", settle)
        world.energy(node, {"quorum_threshold_ppm": 0})
        assert "result" in ask(node, "energy.settle", settle)
        assert "result" in ask(node, "energy.flag_dispute", {"meter_hash": hash_, "reason": f"{MARK} {number}"})


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> str:
    with fresh_node(tmp_path_factory.mktemp("flood"), limits=NO_LIMIT) as node:
        flood(node)
        return render(node)


def test_no_series_passes_its_budget_whatever_callers_make_up(flooded: str) -> None:
    covered = metric_coverage.compare(scrape.read(flooded.encode(), "x"), LISTED, LIMITS)
    assert not covered.failed, [one for one in covered.findings if one.failed]
    series = {one.metric: one.series for one in covered.findings}
    full = {"energy_settlement_total", "energy_quorum_shortfall_total", "energy_meter_reading_total"}
    assert {name: series[name] for name in full} == dict.fromkeys(full, 201)
    assert series["energy_slashing_total"] == 2 * 201, "conflict and quorum, for each provider that is kept"
    assert series["treasury_executor_errors_total"] == 33
    assert series["rpc_tokens_available"] == 100
    assert covered.kept < covered.samples - 200, "three metrics are dropped"
    assert covered.kept < covered.sample_limit / 3


def test_no_text_of_a_caller_becomes_a_label_but_an_error_that_prometheus_drops(flooded: str) -> None:
    bearing = {line.split("{")[0] for line in flooded.splitlines() if MARK in line}
    assert bearing == {"treasury_executor_errors_total"}
    assert LIMITS.drops("treasury_executor_errors_total")


def test_a_real_prometheus_goes_on_scraping_a_flooded_node(flooded: str, tmp_path: Path) -> None:
    covered = metric_coverage.compare(scrape.read(flooded.encode(), "x"), LISTED, LIMITS)
    with serving(lambda: flooded) as target, prometheus(tmp_path, target) as api:
        assert await_(lambda: health(api)) == {target: ("up", "")}
        await_(lambda: (value(api, "count_over_time(up[1m])") or 0) >= 3)
        assert value(api, "min_over_time(up[1m])") == 1
        assert value(api, "scrape_samples_scraped") == covered.samples
        assert value(api, "scrape_samples_post_metric_relabeling") == covered.kept


# The breach


def provider_series(count: int) -> str:
    """What a build without a bound exports: one series per provider."""
    lines = "".join(f'energy_settlement_total{{provider="energy-0x{number:08x}"}} 1\n' for number in range(count))
    return f"{IDLE}# TYPE energy_settlement_total counter\n{lines}"


def gauge(labels: str) -> str:
    return f"{IDLE}# TYPE storage_x gauge\nstorage_x{{{labels}}} 1\n"


BREACHES = {
    "sample limit exceeded": provider_series(4762),
    "body size limit exceeded": IDLE + "#" + "x" * (4 * 1024 * 1024 - len(IDLE.encode()) - 2) + "\n",
    "label_limit exceeded": gauge(",".join(f'l{number}="x"' for number in range(14))),
    "label_name_length_limit exceeded": gauge(f'{"n" * 65}="x"'),
    "label_value_length_limit exceeded": gauge(f'l="{"é" * 129}"'),
}
WITHIN = {
    "sample limit exceeded": provider_series(4761),
    "body size limit exceeded": IDLE + "#" + "x" * (4 * 1024 * 1024 - len(IDLE.encode()) - 3) + "\n",
    "label_limit exceeded": gauge(",".join(f'l{number}="x"' for number in range(13))),
    "label_name_length_limit exceeded": gauge(f'{"n" * 64}="x"'),
    "label_value_length_limit exceeded": gauge(f'l="{"é" * 128}"'),
}


def test_what_the_command_calls_dropped_prometheus_drops_and_nothing_else(tmp_path: Path) -> None:
    """Each limit, one step beyond it and just within: the command and a real Prometheus agree."""
    with contextlib.ExitStack() as stack:
        targets = {
            stack.enter_context(serving(lambda text=text: text)): (limit, text, beyond)  # type: ignore[misc]
            for beyond, texts in ((True, BREACHES), (False, WITHIN))
            for limit, text in texts.items()
        }
        api = stack.enter_context(prometheus(tmp_path, *targets))
        await_(lambda: len(health(api)) == len(targets))
        seen = health(api)
        for target, (limit, text, beyond) in targets.items():
            said = LIMITS.breaches(scrape.read(text.encode(), "x"))
            assert [one.split(":")[0] for one in said] == ([limit] if beyond else [])
            assert seen[target][0] == ("down" if beyond else "up"), (limit, seen[target])
            assert limit in seen[target][1] if beyond else seen[target][1] == "", seen[target]
        dead = next(target for target, (limit, _, beyond) in targets.items() if beyond and limit.startswith("sample"))
        with urllib.request.urlopen(f"http://{dead}/metrics", timeout=10) as answer:
            assert answer.status == 200, "curl works; only Prometheus calls it down"
        assert value(api, f'up{{instance="{dead}"}}') == 0
        assert value(api, f'scrape_samples_scraped{{instance="{dead}"}}') == 5001 + 1
