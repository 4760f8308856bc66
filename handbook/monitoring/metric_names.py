"""Names of the node's and the mock's metrics: `<system>_<subsystem>_<metric>_<unit>`.

The node breaks the rule itself in places; each is in `snippets/metric_exceptions.yml` with its date and reason, and an
entry that is no longer needed fails.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import jsonschema

from handbook import document, facts
from handbook.document import Unreadable
from handbook.monitoring import catalogue
from handbook.problem import Problem

EXCEPTIONS = facts.SNIPPETS / "metric_exceptions.yml"
SYSTEMS = ("treasury", "governance", "energy", "oracle", "rpc", "mock")
"""First words of the names that the catalogue answers for. Of a node's other systems (gossip, storage, mempool, …) it
lists what a page, rule or panel uses, and no more."""
UNITS = {"seconds": "seconds", "unix_seconds": "seconds", "block": "block", "bytes": "bytes"}
"""The word that says the unit. Counts, states, booleans and nonces have none to say."""
RULES = {
    "system": f"the first word is the system: one of {', '.join(SYSTEMS)}",
    "subsystem": "a word for the subsystem stands between the system and what is measured",
    "unit": "the name says its unit: _seconds, _block or _bytes, in a counter before _total",
    "total": "a counter ends in _total, and nothing else does",
}
"""By the word that an exception names it with."""


def broken(name: str, kind: str, unit: str) -> tuple[str, ...]:
    """The rules that a name breaks, in the order of RULES. `kind` and `unit` as in the catalogue."""
    found = set()
    words = name.split("_")
    if words[0] not in SYSTEMS:
        found.add("system")
    if (words[-1] == "total") != (kind == "counter"):
        found.add("total")
    if words[-1] == "total":
        words.pop()
    if unit in UNITS:
        if words[-1] == UNITS[unit]:
            words.pop()
        else:
            found.add("unit")
    if len(words) < 3:
        found.add("subsystem")
    return tuple(rule for rule in RULES if rule in found)


def check_names(
    metrics: Path = catalogue.FILE, exceptions: Path = EXCEPTIONS, today: datetime.date | None = None
) -> list[Problem]:
    """Every name of the node and the mock against the rules, and every exception against the names."""
    try:
        listed = document.read_entries(metrics, "name", "type", "unit", "source")
        excused = document.read(exceptions)
    except Unreadable as error:
        return [error.problem]
    validator = jsonschema.Draft202012Validator(facts.schema("metric-exceptions"))
    if errors := sorted(validator.iter_errors(excused.data), key=lambda error: error.json_path):
        return [Problem(excused.where(*error.absolute_path), f"{error.json_path}: {error.message}") for error in errors]
    today = today or datetime.datetime.now(datetime.UTC).date()
    problems: list[Problem] = []
    allowed: dict[str, set[str]] = {}
    names: dict[str, tuple[str, ...]] = {}
    own = {entry["name"] for entry in listed.data if entry["source"] == "mock"}
    for entry in listed.data:
        if entry["source"] in ("node", "mock"):
            names[entry["name"]] = broken(entry["name"], entry["type"], entry["unit"])
    for position, one in enumerate(excused.data):
        name, where = one["name"], excused.where(position, "name")
        if name in allowed:
            problems.append(Problem(where, f"{name} is excepted twice"))
        allowed.setdefault(name, set()).update(one["breaks"])
        if name not in names:
            problems.append(Problem(where, f"{name} is no metric of the node", "an exception goes with its metric"))
        elif name in own:
            problems.append(Problem(where, f"{name} is the mock's own", "rename it: only the node's names are given"))
        for rule in one["breaks"]:
            if name in names and rule not in names[name]:
                message = f"{name} does not break the rule {rule}: the exception is no longer needed"
                problems.append(Problem(excused.where(position, "breaks"), message))
        if datetime.date.fromisoformat(str(one["since"])) > today:
            problems.append(Problem(excused.where(position, "since"), f"{one['since']} has not come yet"))
    for position, entry in enumerate(listed.data):
        for rule in names.get(entry["name"], ()):
            if rule not in allowed.get(entry["name"], ()):
                where = listed.where(position, "name")
                problems.append(Problem(where, f"{entry['name']} breaks the rule {rule}: {RULES[rule]}", _HINT))
    return problems


_HINT = "<system>_<subsystem>_<metric>_<unit>; a name that a node build has already: snippets/metric_exceptions.yml"
