"""JSON values as text of a given width: what fits on a line stands on one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Scalar = Callable[[Any], str]


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_python(value: Any) -> str:
    """A literal; JSON's strings and numbers are Python's too."""
    return repr(value) if value is None or isinstance(value, bool) else as_json(value)


def lay_out(value: Any, width: int, scalar: Scalar = as_json, indent: str = "", used: int = 0) -> str:
    """`indent` stands before each line but the first, of which `used` columns are taken.

    At the top a container always takes lines of its own.
    """
    flat = flat_text(value, scalar)
    fits = len(indent) + used + len(flat) < width
    if not isinstance(value, dict | list) or not value or (fits and (indent or used)):
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        parts = [lay_out(item, width, scalar, inner) for item in value]
    else:
        names = [f"{as_json(name)}: " for name in value]
        parts = [
            name + lay_out(item, width, scalar, inner, len(name))
            for name, item in zip(names, value.values(), strict=True)
        ]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return f"{opened}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closed}"


def flat_text(value: Any, scalar: Scalar = as_json) -> str:
    """On one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(name)}: {flat_text(item, scalar)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flat_text(item, scalar) for item in value) + "]"
    return scalar(value)
