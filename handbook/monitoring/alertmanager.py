"""Alertmanager's configuration: amtool's judgement, and what amtool lets pass.

amtool says SUCCESS to a placeholder inside an address, to a receiver that tells nobody, to a template that does not
parse. Each of them loses the page at three in the morning.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handbook import document, tool
from handbook.document import Document, Place, Unreadable
from handbook.monitoring.rules import SEVERITIES
from handbook.problem import Problem

RETIRED = {
    "match": "matchers",
    "match_re": "matchers",
    "source_match": "source_matchers",
    "source_match_re": "source_matchers",
    "target_match": "target_matchers",
    "target_match_re": "target_matchers",
}
SECRETS = {
    "slack_api_url": "slack_api_url_file",
    "api_url": "api_url_file",
    "routing_key": "routing_key_file",
    "service_key": "routing_key_file",
    "smtp_auth_password": "smtp_auth_password_file",
}
"""Keys that hold a secret, and the key that holds the path of a file with it."""
HEARTBEAT = "Watchdog"
"""The alert that fires always: it goes to a machine, which tells people when it stops."""
MACHINES = ("webhook_configs",)
"""Integrations that end in a program. All others of Alertmanager's end on somebody's screen."""


def check_alertmanager(file: Path, alerts: list[dict[str, str]]) -> list[Problem]:
    """`alerts` are label sets as Alertmanager receives them, at least one of each alert."""
    try:
        found = document.read(file)
        if not isinstance(found.data, dict) or not found.data.get("receivers"):
            return [Problem(found.path, "no receivers in it", "a configuration has a route and receivers")]
        problems = _keys(found) + _receivers(found)
        problems += _amtool(file, found, problems)
        if problems:
            return problems
        return _templates(file, found) + _reached(file, found, alerts) + _inhibition(found, alerts)
    except Unreadable as error:
        return [error.problem]
    except tool.MissingTool as missing:
        return [missing.problem]


def routes(file: Path, labels: dict[str, str]) -> tuple[str, ...]:
    """Receivers that an alert with these labels is sent to, in order. Raises MissingTool, ValueError."""
    arguments = [f"{name}={json.dumps(value)}" for name, value in sorted(labels.items())]
    said = tool.run("amtool", "config", "routes", "test", f"--config.file={file}", *arguments)
    if said.status:
        raise ValueError(said.output.strip())
    return tuple(said.output.splitlines()[0].split(","))


def render(file: Path, text: str, data: dict[str, Any]) -> str:
    """A text with the configuration's templates; `data` is what Alertmanager gives it. Raises ValueError."""
    with tempfile.TemporaryDirectory() as scratch:
        sample, none = Path(scratch, "sample.json"), Path(scratch, "none.tmpl")
        sample.write_text(json.dumps(data))
        none.touch()  # amtool wants one template at least
        globs = [f"--template.glob={glob}" for glob in (none, *_globs(file, document.read(file)))]
        arguments = [*globs, f"--template.text={text}", f"--template.data={sample}"]
        said = tool.run("amtool", "template", "render", *arguments)
    if said.status:
        raise ValueError(said.output.strip().removeprefix("amtool: error: "))
    return said.output


def notification(labels: dict[str, str]) -> dict[str, Any]:
    """A sample of what a template gets: one firing alert with these labels."""
    slug = labels.get("runbook", "a-runbook")
    annotations = {
        "summary": f"Summary of {labels.get('alertname')}",
        "description": "What was measured, with its unit.",
        "runbook_url": f"https://handbook.the-block.example/runbooks/{slug}/",
        "dashboard": "treasury/100",
    }
    return {
        "receiver": "sample",
        "status": "firing",
        "alerts": [{"status": "firing", "labels": labels, "annotations": annotations}],
        "groupLabels": {"alertname": labels.get("alertname", "")},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://127.0.0.1:9093",
    }


def _keys(found: Document) -> list[Problem]:
    problems: list[Problem] = []
    for place, value in document.walk(found.data):
        key = place[-1] if place else None
        if isinstance(value, str) and "${" in value:
            hint = f"put it into a file: {SECRETS[key]}" if key in SECRETS else "write the value itself"
            problems.append(
                Problem(found.where(*place), f"{key}: {value}: Alertmanager expands no environment variable", hint)
            )
        elif key in SECRETS and isinstance(value, str):
            problems.append(
                Problem(found.where(*place), f"{key}: a secret in the file", f"put it into a file: {SECRETS[key]}")
            )
        if key in RETIRED and isinstance(value, dict):
            problems.append(Problem(found.where(*place), f"{key} is retired", f"write {RETIRED[key]}, a list"))
    return problems


def _route_receivers(found: Document) -> Iterator[tuple[Place, str]]:
    for place, value in document.walk(found.data.get("route") or {}, ("route",)):
        if place[-1] == "receiver" and isinstance(value, str):
            yield place, value


def _integrations(receiver: dict[str, Any]) -> list[str]:
    return [key for key, value in receiver.items() if key.endswith("_configs") and value]


def _receivers(found: Document) -> list[Problem]:
    defined = {one.get("name"): position for position, one in enumerate(found.data.get("receivers") or [])}
    used = list(_route_receivers(found))
    problems = [
        Problem(
            found.where(*place),
            f"route to the undefined receiver {name}",
            f"defined: {', '.join(sorted(str(one) for one in defined))}",
        )
        for place, name in used
        if name not in defined
    ]
    for name, position in defined.items():
        where = found.where("receivers", position, "name")
        if not _integrations(found.data["receivers"][position]):
            problems.append(Problem(where, f"receiver {name} has no integration: it tells nobody"))
        if name not in {one for _, one in used}:
            problems.append(Problem(where, f"no route leads to the receiver {name}"))
    return problems


def _amtool(file: Path, found: Document, already: list[Problem]) -> list[Problem]:
    """What amtool alone knows; once something is wrong, its one message tends to repeat what is already said."""
    said = tool.run("amtool", "check-config", str(file))
    if said.status == 0 or already:
        return []
    reason = re.search(r"FAILED: (.*?)(?:\n\s*\n|amtool: error|\Z)", said.output, re.DOTALL)
    words = " ".join((reason[1] if reason else said.output).split())
    line = re.search(r"line (\d+): (.*)", words)
    where = f"{found.path}:{line[1]}" if line else found.path
    return [Problem(where, f"amtool rejects it: {line[2] if line else words}")]


def _globs(file: Path, found: Document) -> list[str]:
    """Alertmanager takes them relative to the configuration."""
    return [str(file.absolute().parent / glob) for glob in found.data.get("templates") or []]


def _templates(file: Path, found: Document) -> list[Problem]:
    problems = []
    for position, glob in enumerate(found.data.get("templates") or []):
        if not list(file.absolute().parent.glob(glob)):
            problems.append(Problem(found.where("templates", position), f"no file matches {glob}"))
    if problems:
        return problems
    sample = notification({"alertname": "Sample", "severity": "critical", "cluster": "main"})
    for place, value in document.walk(found.data.get("receivers") or [], ("receivers",)):
        if not isinstance(value, str) or "{{" not in value:
            continue
        try:
            if not render(file, value, sample).strip():
                problems.append(Problem(found.where(*place), f"{place[-1]}: {value} renders to nothing"))
        except ValueError as error:
            hint = "the running Alertmanager would drop the notification"
            problems.append(Problem(found.where(*place), f"{place[-1]}: {value}: {error}", hint))
    return problems


def _reached(file: Path, found: Document, alerts: list[dict[str, str]]) -> list[Problem]:
    people = {one["name"] for one in found.data["receivers"] if set(_integrations(one)) - set(MACHINES)}
    machines = {one["name"] for one in found.data["receivers"]} - people
    problems = []
    for labels in [*({"severity": severity} for severity in SEVERITIES), *alerts]:
        reached = set(routes(file, labels))
        heartbeat = labels.get("alertname") == HEARTBEAT
        if not heartbeat and not people & reached:
            hint = f"people read: {', '.join(sorted(people)) or 'no receiver'}"
            problems.append(Problem(found.where("route"), f"an alert with {labels} reaches nobody", hint))
        elif heartbeat and (not machines & reached or people & reached):
            hint = "a webhook of its own, and nobody's screen"
            problems.append(Problem(found.where("route"), f"{HEARTBEAT} goes to {', '.join(sorted(reached))}", hint))
    return list(dict.fromkeys(problems))


def _inhibition(found: Document, alerts: list[dict[str, str]]) -> list[Problem]:
    """Two alerts that both lack a label count as equal in it, so a rule over it mutes what has nothing in common."""
    problems = []
    for position, rule in enumerate(found.data.get("inhibit_rules") or []):
        for label in rule.get("equal") or []:
            lacking = sorted({one["alertname"] for one in _matching(rule, alerts) if not one.get(label)})
            if lacking:
                where = found.where("inhibit_rules", position, "equal")
                hint = "two alerts that lack it count as equal"
                problems.append(Problem(where, f"label {label} is not set by {', '.join(lacking)}", hint))
        if not rule.get("equal"):
            where = found.where("inhibit_rules", position)
            problems.append(Problem(where, "inhibits without equal: one alert would mute all others"))
    return problems


def _matching(rule: dict[str, Any], alerts: list[dict[str, str]]) -> list[dict[str, str]]:
    wanted = dict(re.findall(r'(\w+)\s*=\s*"?([^"~]+)"?$', "\n".join(rule.get("target_matchers") or []), re.MULTILINE))
    return [one for one in alerts if all(one.get(name) == value for name, value in wanted.items())]
