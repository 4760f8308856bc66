"""Near misses: what a refused call probably meant. Told in the journal only, and only when somebody reads it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from handbook.node.contract import Contract, params_schema


def miss(contract: Contract, method: str | None, code: int | None, params: Any) -> str | None:
    """For an unknown method the nearest name; for invalid params the first that does not fit. None: nothing near."""
    if method is None:
        return None
    if code == -32601:
        found = get_close_matches(method, contract.methods, n=1, cutoff=0.6)
        return f"the nearest method is {found[0]}" if found and found[0] != method else None
    if code == -32602 and method in contract.methods:
        return _params(contract, method, params)
    return None


def _params(contract: Contract, method: str, params: Any) -> str | None:
    schema = params_schema(contract.methods[method])
    known, given = schema["properties"], params if isinstance(params, dict) else {}
    for name in schema["required"]:
        if name not in given:
            stray = [one for one in given if one not in known]
            return f"{name} is missing" + (f"; {stray[0]} is no param of {method}" if stray else "")
    return contract.params_misfit(method, params)
