"""The error index: every code with every exact message."""

from __future__ import annotations

import re
from itertools import groupby, takewhile

from handbook.macros import cell
from handbook.macros.method import case_anchor
from handbook.pages.sections import anchor, page_of
from handbook.rpc import errors, reference

LABEL = 40
"""Characters of a message in the table of contents."""
NAMED = 4
"""More methods than this are folded away."""


def error_sections() -> str:
    """A section per code and message: what it means, what to do, which methods give it, the call that shows it."""
    parts = []
    for code, group in groupby(errors.declared(), key=lambda one: one.code):
        found = list(group)
        if len(found) == 1:
            parts.append(f"## {code} `{found[0].message}` {{ #error{code} }}\n\n{_entry(found[0])}")
            continue
        if len({errors.advice(one.code, one.message) for one in found}) == 1:
            parts.append(_alike(found))
            continue
        parts.append(f"## {code} {{ #error{code} }}\n\n{len(found)} messages have this code.\n")
        parts += [
            f'### `{one.message}` {{ #error{code}-{_slug(one)} data-toc-label="{_label(one)}" }}\n\n{_entry(one)}'
            for one in found
        ]
    return "\n".join(parts)


def _alike(found: list[errors.Declared]) -> str:
    """One section for messages that mean the same; its heading is what they end with."""
    code, words = found[0].code, [one.message.split()[::-1] for one in found]
    ending = " ".join(_common(words)[::-1])
    advice = errors.advice(code, found[0].message)
    listed = "\n".join(f"- `{one.message}`: {_call(one, method)}" for one in found for method in one.methods)
    return f"## {code} `{ending}` {{ #error{code} }}\n\n{advice.meaning}\n\n**Do**: {advice.do}\n\n{listed}\n"


def _common(lists: list[list[str]]) -> list[str]:
    """What all of them begin with."""
    return [one[0] for one in takewhile(lambda same: len(set(same)) == 1, zip(*lists, strict=False))]


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


def _slug(one: errors.Declared) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\{\w+\}", "", one.message).lower()).strip("-")


def _label(one: errors.Declared) -> str:
    """For the table of contents: without what the messages of a code begin with."""
    said = re.sub(r"\{\w+\}", "…", one.message.partition(": ")[2] or one.message)
    return said if len(said) <= LABEL else f"{said[: LABEL - 1].rstrip()}…"


def _entry(one: errors.Declared) -> str:
    advice = errors.advice(one.code, one.message)
    told = [f"{advice.meaning}\n\n**Do**: {advice.do}\n"]
    special = [(name, said) for name in one.methods if (said := errors.advice(one.code, one.message, name)) != advice]
    told += [
        f"From [`{name}`]({page_of(name)}#{anchor(name)}): {said.meaning} **Do**: {said.do}\n" for name, said in special
    ]
    links = [_call(one, name) for name in one.methods] or [_anywhere(one)]
    if len(links) > NAMED:
        rows = "\n".join(f"    - {link}" for link in links)
        told.append(f'??? info "{len(links)} methods give it"\n\n{rows}\n')
    else:
        told.append("\n".join(f"- {link}" for link in links) + "\n")
    return "\n".join(told)


def _link(method: str) -> str:
    return f"[`{method}`]({page_of(method)}#{anchor(method)})"


def _call(one: errors.Declared, method: str) -> str:
    link = _link(method)
    case = errors.causes(one.code, one.message, method)
    if case is None:
        return f"{link}: {one.uncaused.get(method, '')}"
    return f"{link}: [{cell(case.name)}]({page_of(method)}#{case_anchor(case)})"


def _anywhere(one: errors.Declared) -> str:
    return f"any call: {one.uncaused['']}" if "" in one.uncaused else "[any call](rpc-transport.md#envelope)"
