"""What node and client call things, `names.yml`, as tables."""

from __future__ import annotations

from handbook import facts
from handbook.macros import MacroError, cell

MANY = 20
"""Flags that a table's cell does not hold."""
WORDS = frozenset({"none", "unset", "off", "all", "required", "its epoch", "the node's", "in the data directory"})


def command_table(program: str) -> str:
    """The commands of a program, with their flags and defaults, and what they rest on below."""
    found = [entry for entry in facts.load("names.yml")["commands"] if f"{entry['name']} ".startswith(f"{program} ")]
    if not found:
        raise MacroError(f"names.yml has no command of {program!r}")
    rows = ["| command | what it does | flags, with their defaults |", "|---|---|---|"]
    for entry in found:
        flags = ", ".join(f"`{flag}` {_default(default)}" for flag, default in entry.get("flags", {}).items())
        if len(entry.get("flags", {})) > MANY:
            flags = "see below"
        rows.append(f"| `{entry['name']}` | {cell(entry['what'])} | {flags or 'none'} |")
    marks = dict.fromkeys(_mark(entry["evidence"]) for entry in found)
    return "\n".join([*rows, "", "Evidence: " + "; ".join(marks) + "."])


def flag_table(command: str) -> str:
    """The flags of one command, each with its default."""
    found = next((one for one in facts.load("names.yml")["commands"] if one["name"] == command), None)
    if found is None:
        raise MacroError(f"names.yml has no command {command!r}")
    rows = [f"| flag of `{command}` | default |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{flag}` | {_default(value)} |" for flag, value in found["flags"].items())])


def variable_table() -> str:
    """Every environment variable, what it does and what holds without it."""
    rows = ["| variable | what it does | without it | evidence |", "|---|---|---|---|"]
    for entry in facts.load("names.yml")["variables"]:
        without = _default(entry["default"])
        rows.append(f"| `{entry['name']}` | {cell(entry['what'])} | {without} | {_mark(entry['evidence'])} |")
    return "\n".join(rows)


def port_table() -> str:
    """Every port that a page may name."""
    rows = ["| port | of | evidence |", "|---:|---|---|"]
    rows += [
        f"| {one['port']} | {cell(one['what'])} | {_mark(one['evidence'])} |"
        for one in facts.load("names.yml")["ports"]
    ]
    return "\n".join(rows)


def outside_table() -> str:
    """Metrics and methods of the build that the contract has not, and why pages name them."""
    listed = facts.load("names.yml")
    rows = ["| | names | why they are of no use | evidence |", "|---|---|---|---|"]
    for kind in ("metrics", "methods"):
        for group in listed[kind]:
            names = "<br>".join(f"`{name}`" for name in group["names"])
            rows.append(f"| {kind} | {names} | {cell(group['why'])} | {_mark(group['evidence'])} |")
    return "\n".join(rows)


def _default(value: str | int) -> str:
    """As code, but for the words that say that there is none."""
    return str(value) if value in WORDS else f"`{value}`"


def _mark(evidence: str) -> str:
    mark, _, how = evidence.partition(" ")
    return f"[`{mark}`](compatibility.md#evidence-marks) {cell(how)}" if mark.startswith("[") else cell(evidence)
