"""Where the checkout is, and the facts in `snippets/`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SNIPPETS = ROOT / "snippets"
SITE_URL = "https://handbook.the-block.example/"
CONTRACT_BUILD = "0ecc756a"
"""The node build whose coded behaviour the contract follows (its plumbing mended)."""


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema `snippets/schemas/NAME.json`. Raises KeyError with the known names."""
    path = SNIPPETS / "schemas" / f"{name}.json"
    if not path.is_file():
        raise KeyError(f"no schema {name!r}; known: {', '.join(schema_names())}")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@cache
def schema_names() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in (SNIPPETS / "schemas").glob("*.json")))


@cache
def load(name: str) -> Any:
    """A YAML fact file of `snippets/`, by file name."""
    return yaml.load((SNIPPETS / name).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
