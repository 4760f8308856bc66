"""Methods and limiters as tables."""

from __future__ import annotations

from handbook import facts
from handbook.macros import MacroError, cell
from handbook.pages.sections import anchor, page_of
from handbook.rpc import reference


def method_table(page: str = "") -> str:
    """The methods that have their section on a page, or all, each linked to it."""
    rows = ["| Method | Effect | Token | Build 0ecc756a | What it does |", "|---|---|---|---|---|"]
    for name, method in reference.methods().items():
        if page in ("", page_of(name)):
            served = {"served": "served", "unreachable": "not served"}[method["x-builds"][facts.CONTRACT_BUILD]]
            place = f"{page_of(name)}#{anchor(name)}"
            rows.append(
                f"| [`{name}`]({place}) | {method['x-effect']} | {method['x-role']} | {served} "
                f"| {cell(method['summary'])} |"
            )
    if len(rows) == 2:
        raise MacroError(f"no method has its section on {page!r}")
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
