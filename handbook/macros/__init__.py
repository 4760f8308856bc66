"""What pages draw from facts: a line `{{ name("argument") }}`, alone and outside fences, becomes Markdown.

A module of this package is loaded when a page first calls what is in it.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from difflib import get_close_matches
from typing import Any

from handbook import document

CALL = re.compile(r"^\{\{ *(\w+\(.*\)) *\}\}[ \t]*$")
"""A macro line; the group is the call."""
MACROS = {
    "chain_table": "handbook.chain.table:chain_table",
    "any_call_errors": "handbook.macros.errors:any_call_errors",
    "error_sections": "handbook.macros.errors:error_sections",
    "limiter_table": "handbook.macros.methods:limiter_table",
    "method_body": "handbook.macros.method:method_body",
    "method_head": "handbook.macros.method:method_head",
    "method_table": "handbook.macros.methods:method_table",
    "control_call": "handbook.macros.control:control_call",
    "control_faults": "handbook.macros.control:control_faults",
    "control_modes": "handbook.macros.control:control_modes",
    "control_methods": "handbook.macros.control:control_methods",
    "claim_table": "handbook.macros.claims:claim_table",
    "command_table": "handbook.macros.names:command_table",
    "deviation_counts": "handbook.macros.deviations:deviation_counts",
    "deviation_overview": "handbook.macros.deviations:deviation_overview",
    "deviation_table": "handbook.macros.deviations:deviation_table",
    "flag_table": "handbook.macros.names:flag_table",
    "hazard_table": "handbook.macros.deviations:hazard_table",
    "outside_table": "handbook.macros.names:outside_table",
    "port_table": "handbook.macros.names:port_table",
    "budget_table": "handbook.macros.metrics:budget_table",
    "exception_table": "handbook.macros.metrics:exception_table",
    "metric_overview": "handbook.macros.metrics:metric_overview",
    "metric_reference": "handbook.macros.metrics:metric_reference",
    "retired_table": "handbook.macros.retired:retired_table",
    "incident_table": "handbook.macros.thresholds:incident_table",
    "threshold_pictures": "handbook.macros.thresholds:threshold_pictures",
    "threshold_table": "handbook.macros.thresholds:threshold_table",
    "runbook_table": "handbook.macros.runbooks:runbook_table",
    "variable_table": "handbook.macros.names:variable_table",
}
"""By name, the function that draws it. It takes literals and returns Markdown."""


class MacroError(Exception):
    """A call that draws nothing; raised by macros too, for an argument that names nothing."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def define_env(env: Any) -> None:
    """Called by mkdocs-macros with its environment: the site draws with what the engine reads pages by."""
    for name, place in MACROS.items():
        env.macro(pkgutil.resolve_name(place), name)


def draw(call: str) -> str:
    """The Markdown of `name("argument")`. Raises MacroError."""
    name, args = parse(call)
    if name not in MACROS:
        near = get_close_matches(name, MACROS, 1)
        raise MacroError(f"no macro {name!r}", f"meant {near[0]}?" if near else f"one of {', '.join(MACROS)}")
    macro = pkgutil.resolve_name(MACROS[name])
    try:
        drawn: str = macro(*args)
    except document.Unreadable as error:
        raise MacroError(str(error.problem)) from None
    except TypeError as error:
        if error.__traceback__ and error.__traceback__.tb_next:
            raise  # a defect inside the macro
        raise MacroError(str(error)) from None
    return drawn


def parse(call: str) -> tuple[str, list[Any]]:
    """Name and arguments. Raises MacroError."""
    try:
        node = ast.parse(call, mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
            raise ValueError
        return node.func.id, [ast.literal_eval(arg) for arg in node.args]
    except (SyntaxError, ValueError):
        raise MacroError(f"{call!r} is no macro call", 'written {{ name("argument") }}') from None


def cell(text: object) -> str:
    """`text` as the content of a table's cell."""
    return str(text).replace("|", "\\|").replace("\n", " ")
