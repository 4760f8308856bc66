"""Facts as tables inside pages, for mkdocs-macros. A page asks for them with `render_macros: true`."""

from __future__ import annotations

from typing import Any

from handbook import facts, rules, runbook, threshold_macros

AREAS = {
    "rpc": "RPC",
    "governance": "governance of disbursements",
    "executor": "executor",
    "cli": "command line",
    "storage": "storage",
    "metrics": "metrics",
}


def define_env(env: Any) -> None:
    """Called by mkdocs-macros with its environment."""
    env.macro(runbook_table)
    env.macro(deviation_overview)
    env.macro(deviation_table)
    env.macro(retired_table)
    env.macro(control_methods)
    env.macro(control_faults)
    for macro in (
        threshold_macros.threshold_table,
        threshold_macros.threshold_pictures,
        threshold_macros.incident_table,
    ):
        env.macro(macro)


def runbook_table() -> str:
    """Every alert, worst first, with the runbook that its `runbook_url` leads to."""
    books = {book.slug: book for book in runbook.all_runbooks()}
    alerts = [rule for rule in rules.load_rules(facts.ROOT / "monitoring" / "alert_rules.yml") if rule.alert]
    rows = ["| alert | severity | runbook | blast radius |", "|---|---|---|---|"]
    for rule in sorted(alerts, key=lambda rule: rules.SEVERITIES.index(rule.labels["severity"])):
        book = books[rule.slug]
        rows.append(
            f"| `{rule.name}` | {rule.labels['severity']} | [{book.title}]({book.page.file.name}) "
            f"| {book.meta['blast_radius']} |"
        )
    return "\n".join(rows)


def deviation_overview() -> str:
    """One line per deviation, the dangerous ones first, each linked to its section."""
    rows = ["| | what differs | area | you lose |", "|---|---|---|---|"]
    for entry in sorted(facts.load("deviations.yml"), key=lambda e: (rules.SEVERITIES.index(e["severity"]), e["id"])):
        loss = _cell(entry["danger"].split(". ")[0].removesuffix("."))
        link = f"[{entry['id']}](#{entry['id'].lower()})"
        rows.append(f"| {_severity(entry)} | {link} {_cell(entry['title'])} | {entry['area']} | {loss} |")
    return "\n".join(rows)


def deviation_table() -> str:
    """`deviations.yml` as one section per entry, under a heading per area."""
    parts = []
    entries = facts.load("deviations.yml")
    for area in dict.fromkeys(entry["area"] for entry in entries):
        parts.append(f"## Deviations: {AREAS[area]} {{ #area-{area} }}\n")
        parts += [_deviation(entry) for entry in entries if entry["area"] == area]
    return "\n".join(parts)


def retired_table() -> str:
    """What not to write, what to write, why: `retired.yml`."""
    rows = ["| not | but | because |", "|---|---|---|"]
    for entry in facts.load("retired.yml"):
        rows.append(f"| `{entry['name']}` | {_cell(entry['meant'])} | {_cell(entry['why'])} |")
    return "\n".join(rows)


def _deviation(entry: dict[str, Any]) -> str:
    builds = ", ".join(f"`{build}`" for build in entry["builds"])
    marks, how = entry["evidence"].split(" ", 1)
    rehearse = _rehearse(entry)
    return (
        f"### {entry['id']}: {entry['title']} {{ #{entry['id'].lower()} }}\n\n"
        f"{_severity(entry)} evidence [`{marks}`](#evidence-marks) {how}\n\n"
        f"| Build {builds} | Contract |\n|---|---|\n| {_cell(entry['observed'])} | {_cell(entry['contract'])} |\n\n"
        f"**You lose:** {entry['danger']}\n\n"
        f"**Do:** {entry['workaround']}\n\n{rehearse}"
    )


def _rehearse(entry: dict[str, Any]) -> str:
    from handbook.node.deviations import AT_START

    if entry["fault"] in AT_START:
        return f"**Rehearse:** on a mock node that is started with `--build {entry['builds'][0]}`.\n\n"
    if entry["fault"]:
        return f"**Rehearse:** on the mock, with the fault `{entry['fault']}`.\n\n"
    return f"**Not rehearsed:** {entry['no_fault']}\n\n"


def _severity(entry: dict[str, Any]) -> str:
    return f'<span class="severity {entry["severity"]}">{entry["severity"]}</span>'


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|")


def control_methods() -> str:
    """Every `mock.*` call: what its docstring says first, and its params with what fits."""
    from handbook.node.control import METHODS
    from handbook.node.members import MEMBERS

    rows = ["| call | what it does | params |", "|---|---|---|"]
    for name, handler in METHODS.items():
        said = (handler.__doc__ or "").strip().split("\n")[0]
        params = "<br>".join(
            f"`{param}`{' (required)' if member.required else ''}: {_cell(_shortened(member.expected))}"
            for param, member in MEMBERS.get(name, {}).items()
        )
        rows.append(f"| `{name}` | {_cell(said)} | {params or 'none'} |")
    return "\n".join(rows)


def control_faults() -> str:
    """Every kind of fault, by sort, with what it takes."""
    from handbook.node import faults
    from handbook.node.deviations import SWITCHES

    sorts = {
        "on the wire, by rule": faults.WIRE,
        "in the executor: the process dies": faults.CRASH_POINTS,
        "at a commit": faults.COMMIT_POINTS | faults.STORAGE,
        "conditions": faults.CONDITIONS,
        "deviations of build 0ecc756a, until cleared": SWITCHES,
    }
    rows = ["| fault | what it does | takes |", "|---|---|---|"]
    for sort, kinds in sorts.items():
        rows.append(f"| **{sort}** | | |")
        for name, what in kinds.items():
            takes = ", ".join(f"`{one}`" for one in faults.TAKES.get(name, ()))
            rows.append(f"| `{name}` | {_cell(what)} | {takes} |")
    return "\n".join(rows)


def _shortened(text: str) -> str:
    """A list of names that stands elsewhere on the page is not repeated."""
    return text if len(text) < 120 else "a name of the table below"
