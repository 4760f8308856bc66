"""Methods and limiters as tables."""

from __future__ import annotations

from handbook import reference
from handbook.macros import MacroError, cell
from handbook.sections import anchor, page_of


def method_table(*starts: str) -> str:
    """The methods whose names start so, or all, each linked to its section."""
    rows = ["| Method | Effect | Role | Build 0ecc756a | What it does |", "|---|---|---|---|---|"]
    for name, method in reference.methods().items():
        if starts and not name.startswith(starts):
            continue
        served = {"served": "served", "unreachable": "not served"}[method["x-builds"]["0ecc756a"]]
        rows.append(
            f"| [`{name}`]({page_of(name)}#{anchor(name)}) | {method['x-effect']} | {method['x-role']} "
            f"| {served} | {cell(method['summary'])} |"
        )
    if len(rows) == 2:
        raise MacroError(f"no method starts with {', '.join(starts)}")
    return "\n".join(rows)


def limiter_table() -> str:
    """Each token bucket, what it holds, who pays from it, and the variable that sets it."""
    rows = ["| Limiter | Calls a minute | Holds | Variable, per second | Methods |", "|---|---|---|---|---|"]
    for name, limiter in reference.load()["x-limiters"].items():
        payers = [n for n, m in reference.methods().items() if m["x-limiter"] == name]
        told = "every call" if name == "general" else "<br>".join(f"`{payer}`" for payer in payers)
        holds = limiter["per_minute"] / 60
        rows.append(f"| {name} | {limiter['per_minute']} | {holds:.3g} | `{limiter['variable']}` | {told} |")
    return "\n".join(rows)
