"""The mock node's control listener as tables."""

from __future__ import annotations

from handbook.macros import cell
from handbook.node import faults
from handbook.node.control import METHODS
from handbook.node.deviations import SWITCHES
from handbook.node.members import MEMBERS


def control_methods() -> str:
    """Every `mock.*` call: what its docstring says first, and its params with what fits."""

    rows = ["| call | what it does | params |", "|---|---|---|"]
    for name, handler in METHODS.items():
        said = (handler.__doc__ or "").strip().split("\n")[0]
        params = "<br>".join(
            f"`{param}`{' (required)' if member.required else ''}: {cell(_shortened(member.expected))}"
            for param, member in MEMBERS.get(name, {}).items()
        )
        rows.append(f"| `{name}` | {cell(said)} | {params or 'none'} |")
    return "\n".join(rows)


def control_faults() -> str:
    """Every kind of fault, by sort, with what it takes."""

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
            rows.append(f"| `{name}` | {cell(what)} | {takes} |")
    return "\n".join(rows)


def _shortened(text: str) -> str:
    """A list of names that stands elsewhere on the page is not repeated."""
    return text if len(text) < 120 else "a name of the table below"
