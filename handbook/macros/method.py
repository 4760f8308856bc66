"""The section of a method, drawn from the description of the RPC and the cases.

`method_head` opens it, `method_body` ends it; what stands between them on the page is the page's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from handbook import facts
from handbook.macros import MacroError, calls, cell, members
from handbook.pages.sections import anchor
from handbook.rpc import cases, errors, reference
from handbook.rpc.cases import Case

EFFECTS = {"read": "reads", "write": "writes", "destructive": "destructive"}
ROLES = {
    "none": "no token",
    "admin": "admin token",
    "provider": "provider token, if any is set",
    "oracle": "oracle token, if any is set",
    "energy_admin": "energy admin token, if any is set",
    "loopback": "from the node's own machine",
}
LONG = 16
"""More members of a result than this are folded away."""
ALIAS = "alias"
"""A case with this word in its name is about a name that only the mock has; no page shows it."""


def method_head(name: str, level: int = 2) -> str:
    """Opens the section: heading of that level, effect, role, limiter, builds, summary."""
    method = _find(name)
    effect, role = method["x-effect"], method["x-role"]
    data = f'data-method="{name}" data-effect="{effect}" data-role="{role}"'
    limiter = method["x-limiter"]
    badges = [
        f'<span class="badge effect-{effect}">{EFFECTS[effect]}</span>',
        f"[{ROLES[role]}](rpc-transport.md#tokens){{ .badge }}",
        f"[limiter {limiter}](rpc-transport.md#limiters){{ .badge }}",
        *(
            f'<span class="badge build-{state}">{_build(build)}: {_state(build, state)}</span>'
            for build, state in method["x-builds"].items()
        ),
    ]
    said = [f"{method['summary']}.", *([method["description"]] if method.get("description") else [])]
    hazard = f'\n\n!!! danger "Hazard"\n    {method["x-hazard"]}' if "x-hazard" in method else ""
    return (
        f'<div class="rpc-method" {data} markdown>\n\n'
        f"{'#' * level} {name} {{ #{anchor(name)} }}\n\n{' '.join(badges)}\n\n{chr(10).join(said)}{hazard}\n"
    )


def method_body(name: str) -> str:
    """Params, result, errors and cases; ends the section."""
    method = _find(name)
    found = [case for case in cases.load().get(name, []) if ALIAS not in case.name.split()]
    parts = [_params(method), _result(method), _errors(name, method)]
    parts += [_first(case, method) for case in found[:1]]
    parts.append('<div class="try-it-here"></div>')
    if others := found[1:]:
        parts.append(f"**{len(others)} more call{'s' if len(others) > 1 else ''}**")
        parts += [_case(case, method) for case in others]
    return "\n\n".join(part for part in parts if part) + "\n\n</div>\n"


def _find(name: str) -> dict[str, Any]:
    known = reference.methods()
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise MacroError(f"no method {name!r}", f"meant {near[0]}?" if near else "methods: snippets/openrpc.json")
    return known[name]


def _build(build: str) -> str:
    return "contract" if build == "contract" else f"build {build}"


def _state(build: str, state: str) -> str:
    return {"served": "served", "unreachable": "not served, -32601"}.get(state, state)


def _params(method: dict[str, Any]) -> str:
    if not method["params"]:
        return "**Params**: none."
    rows = []
    for param in method["params"]:
        own = {key: param[key] for key in ("description", "x-unit", "x-clamp") if key in param}
        for row in members.rows(param["name"], {**param["schema"], **own}, param["required"]):
            default = "required" if row.required else row.default
            rows.append((f"`{row.name}`", _with_unit(row), default, _joined(row.meaning, row.limits)))
    loose = method.get("x-params-check") == "none"
    note = "\n\nWhat does not fit an optional param counts as left out." if loose else ""
    table = _table(("Param", "Type", "Default", "Meaning and limits"), rows)
    return f"**Params**\n\n{table}{note}"


def _result(method: dict[str, Any]) -> str:
    name = members.schema_name(method["result"]["schema"]["$ref"])
    schema = facts.schema(name)
    link = f"schema [{name}](schemas/{name}.json)"
    told = list(members.rows("", method["result"]["schema"]))
    said = schema.get("description", schema["title"])
    if not told:
        return f"**Result**: {said} ({link})"
    rows = [(f"`{row.name}`", _with_unit(row), _joined(row.meaning, row.limits)) for row in told]
    table = _table(("Member", "Type", "Meaning"), rows)
    if len(rows) > LONG:
        table = f'??? info "{len(rows)} members"\n\n{calls.indented(table)}'
    return f"**Result** ({link}): {said}\n\n{table}"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Without the columns that are empty all the way down."""
    used = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line[column] for column in used)} |" for line in lines)


def _with_unit(row: members.Row) -> str:
    return f"{row.type}, {row.unit}" if row.unit else row.type


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _errors(name: str, method: dict[str, Any]) -> str:
    general = "[any call](rpc-errors.md#any-call)"
    if not method["x-errors"]:
        return f"**Errors**: none but those that {general} may get."
    rows = []
    for error in method["x-errors"]:
        code, message = error["code"], error["message"]
        advice = errors.advice(code, message, name)
        case = errors.causes(code, message, name)
        call = f"[{cell(case.name)}](#{case_anchor(case)})" if case else error.get("uncaused", "")
        link = f"[{code}](rpc-errors.md#error{code})"
        rows.append((link, f"`{cell(message)}`", cell(advice.meaning), cell(advice.do), call))
    table = _table(("Code", "Message", "When", "What to do", "Call"), rows)
    return f"**Errors**, besides those that {general} may get\n\n{table}"


def case_anchor(case: Case) -> str:
    """The id of a case on the page of its method."""
    return f"{anchor(case.method)}-{case.id.partition('/')[2].replace('.', '-')}"


def _first(case: Case, method: dict[str, Any]) -> str:
    return (
        f'<span id="{case_anchor(case)}"></span>**{calls.title(case)}**\n\n{_prepared(case)}'
        f"{calls.tabs(case, method['x-effect'])}"
    )


def _case(case: Case, method: dict[str, Any]) -> str:
    return (
        f'<details class="case" markdown>\n<summary>{calls.title(case)}</summary>\n\n'
        f'<span id="{case_anchor(case)}"></span>\n\n'
        f"{_prepared(case)}{calls.command(case, method['x-effect'])}\n\n{calls.answer(case)}\n\n</details>"
    )


def _prepared(case: Case) -> str:
    """Where the call finds its node: how it was started, and what was done before."""
    told = {
        "open": "",
        "tokens": "On a node with admin, provider and oracle tokens.",
        "starved": "On a node whose energy limiters hold half a call.",
        "throttled": "On a node whose general limiter holds half a call.",
    }[case.node]
    if not case.before:
        return f"{told}\n\n" if told else ""
    count = f"{len(case.before)} call{'s' if len(case.before) > 1 else ''}"
    fence = calls.indented(calls.before(case))
    return f'{told}\n\n??? note "Before it: {count}"\n\n{fence}\n\n'
