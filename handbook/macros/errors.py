"""The error index: every code with every exact message."""

from __future__ import annotations

from itertools import groupby

from handbook import errors, reference
from handbook.macros import cell
from handbook.macros.method import case_anchor
from handbook.sections import anchor, page_of

NAMED = 4
"""More methods than this are folded away."""


def error_sections() -> str:
    """A section per code: what each message means, what to do, which methods give it, the call that shows it."""
    parts = []
    for code, group in groupby(errors.declared(), key=lambda one: one.code):
        found = list(group)
        words = dict.fromkeys(one.message.split(":")[0].split("{")[0].strip() for one in found)
        heading = f"{code} {next(iter(words))}" if len(words) == 1 else f"{code}"
        parts.append(f"## {heading} {{ #error{code} }}\n")
        for one in found:
            parts.append(_entry(one))
    return "\n".join(parts)


def any_call_errors() -> str:
    """The errors that any call may get."""
    rows = ["| Code | Message | HTTP status | When |", "|---|---|---|---|"]
    for entry in reference.general_errors():
        code = entry["code"]
        rows.append(
            f"| [{code}](rpc-errors.md#error{code}) | `{entry['message']}` | {entry.get('http', 200)} "
            f"| {cell(entry['description'])} |"
        )
    return "\n".join(rows)


def _entry(one: errors.Declared) -> str:
    advice = errors.advice(one.code, one.message)
    told = [f"**`{one.message}`**\n", f"{advice.meaning}\n{advice.do}\n"]
    special = [(name, said) for name in one.methods if (said := errors.advice(one.code, one.message, name)) != advice]
    told += [f"From [`{name}`]({page_of(name)}#{anchor(name)}): {said.meaning}\n{said.do}\n" for name, said in special]
    links = [_call(one, name) for name in one.methods] or [_anywhere(one)]
    if len(links) > NAMED:
        rows = "\n".join(f"    - {link}" for link in links)
        told.append(f'??? info "{len(links)} methods give it"\n\n{rows}\n')
    else:
        told.append("\n".join(f"- {link}" for link in links) + "\n")
    return "\n".join(told)


def _call(one: errors.Declared, method: str) -> str:
    link = f"[`{method}`]({page_of(method)}#{anchor(method)})"
    case = errors.causes(one.code, one.message, method)
    if case is None:
        return f"{link}: {one.uncaused}"
    return f"{link}: [{cell(case.name)}]({page_of(method)}#{case_anchor(case)})"


def _anywhere(one: errors.Declared) -> str:
    return f"any call: {one.uncaused}" if one.uncaused else "[any call](rpc-transport.md#envelope)"
