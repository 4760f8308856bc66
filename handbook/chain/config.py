"""The shipped configuration, squeezed and pointed at loopback. Nothing of it is copied by hand.

Routes, groups, inhibitions, templates, limits, relabelling and jobs stay. What changes: durations, targets, the paths
of secrets, PagerDuty's address, and one webhook beside what each receiver has, to which Alertmanager sends the labels.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from handbook import document, facts
from handbook.chain import squeeze
from handbook.chain.recorder import Recorder
from handbook.document import Unreadable
from handbook.problem import Problem

MONITORING = facts.ROOT / "monitoring"
KEY = "0123456789abcdef0123456789abcdef"
"""A routing key that opens nothing."""


def prometheus(source: Path, into: Path, alertmanager: str, *, short: bool = True) -> tuple[str, ...]:
    """Writes prometheus.yml and one empty target file per job. The names of the jobs.

    `alertmanager` is HOST:PORT. Raises Unreadable for a shipped file that cannot be read.
    """
    config = _prometheus(source)
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    if short:
        config["global"] = squeeze.times(config["global"], squeeze.SCRAPE_TIMES)
    scrapes = []
    for scrape in config["scrape_configs"]:
        if short:
            scrape = squeeze.times(scrape, squeeze.SCRAPE_TIMES)
        scrape = {name: value for name, value in scrape.items() if not name.endswith("_sd_configs")}
        scrape.pop("static_configs", None)
        scrapes.append(scrape | {"file_sd_configs": [{"files": [f"{scrape['job_name']}.targets.json"]}]})
        targets(into, scrape["job_name"], ())
    _write(into / "prometheus.yml", config | {"scrape_configs": scrapes})
    return tuple(scrape["job_name"] for scrape in scrapes)


def rules(source: Path, into: Path, *, short: bool = True) -> None:
    """Writes the rule files. Raises Unreadable."""
    for name in _prometheus(source)["rule_files"]:
        found = document.read_members(source / name, groups=list).data
        _write(into / name, squeeze.rules(found) if short else found)


def targets(into: Path, job: str, addresses: tuple[str, ...]) -> None:
    """Whom Prometheus scrapes for a job, HOST:PORT each; it sees the file change."""
    scratch = into / f"{job}.targets.new"
    scratch.write_text(json.dumps([{"targets": list(addresses)}]))
    scratch.replace(into / f"{job}.targets.json")


def alertmanager(source: Path, into: Path, recorder: Recorder, *, short: bool = True) -> dict[str, tuple[str, ...]]:
    """Writes alertmanager.yml, its templates and its secrets. What each receiver sends beside a webhook: slack, ….

    Raises Unreadable, also for what nobody stands in for.
    """
    file = source / "alertmanager.yml"
    found = document.read_members(file, route=dict, receivers=list)
    config, sends = found.data, {}
    for position, receiver in enumerate(config["receivers"]):
        kinds = [name for name in receiver if name.endswith("_configs")]
        sends[receiver["name"]] = tuple(kind.removesuffix("_configs") for kind in kinds if kind != "webhook_configs")
        for kind in kinds:
            stand_in = STAND_INS.get(kind)
            if stand_in is None:
                where = found.where("receivers", position, kind)
                hint = f"the recorder knows {', '.join(STAND_INS)}"
                raise Unreadable(Problem(where, f"nobody stands in for {kind}", hint))
            receiver[kind] = [stand_in(one, receiver["name"], into, recorder) for one in receiver[kind]]
        if not receiver.get("webhook_configs"):
            receiver["webhook_configs"] = [_webhook({}, receiver["name"], into, recorder)]
    if short:
        config["route"] = _route(config["route"])
        config["global"] = squeeze.times(config.get("global") or {}, ("resolve_timeout",))
    for glob in config.get("templates") or []:
        for template in source.glob(glob):
            shutil.copy(template, into)
    _write(into / "alertmanager.yml", config)
    return sends


def _prometheus(source: Path) -> dict[str, Any]:
    file = source / "prometheus.yml"
    found: dict[str, Any] = document.read_members(file, scrape_configs=list, rule_files=list, **{"global": dict}).data
    return found


def _route(route: dict[str, Any]) -> dict[str, Any]:
    short = squeeze.times(route, squeeze.ROUTE_TIMES)
    if "routes" in short:
        short["routes"] = [_route(one) for one in short["routes"]]
    return short


def _slack(one: dict[str, Any], receiver: str, into: Path, recorder: Recorder) -> dict[str, Any]:
    return one | {"api_url_file": _secret(into, f"slack-{receiver}", recorder.address("slack", receiver))}


def _pagerduty(one: dict[str, Any], receiver: str, into: Path, recorder: Recorder) -> dict[str, Any]:
    url = recorder.address("pagerduty", receiver)
    return one | {"routing_key_file": _secret(into, f"pagerduty-{receiver}", KEY), "url": url}


def _webhook(one: dict[str, Any], receiver: str, into: Path, recorder: Recorder) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in ("url_file", "http_config")} | {
        "url": recorder.address("webhook", receiver)
    }


STAND_INS = {"pagerduty_configs": _pagerduty, "slack_configs": _slack, "webhook_configs": _webhook}


def _secret(into: Path, name: str, value: str) -> str:
    path = into / f"{name}.secret"
    path.write_text(value)
    path.chmod(0o600)
    return str(path)


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True))
