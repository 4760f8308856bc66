"""`snippets/control.yml`: calls that the mock's control listener refuses, and what it says."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema

from handbook import document, facts
from handbook.document import Unreadable
from handbook.problem import Problem

FILE = facts.SNIPPETS / "control.yml"
Refusal = dict[str, Any]
"""`params`, `says`, and `before`: calls that are made first, each with `method` and `params`."""


@cache
def load() -> dict[str, list[Refusal]]:
    """By method. Raises Unreadable."""
    found = document.read(FILE)
    validator = jsonschema.Draft202012Validator(facts.schema("control"))
    for error in sorted(validator.iter_errors(found.data), key=lambda error: error.json_path):
        raise Unreadable(Problem(found.where(*error.absolute_path), f"{error.json_path}: {error.message}"))
    listed: dict[str, list[Refusal]] = found.data
    return listed
