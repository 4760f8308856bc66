"""`config.reload`: the public keys of energy providers, out of `default.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

from handbook.node import events as ev
from handbook.node.energy_params import HEX, Params
from handbook.node.market_state import MAX_PROVIDERS
from handbook.node.node import Node


def reload(node: Node, params: Any) -> Params:
    """Reads `<data-dir>/default.toml`; a file that is not there is an empty one.

    The keys of before are gone; those after the first bad entry are not read.
    """
    try:
        text = (node.config.data_dir / "default.toml").read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, ValueError):
        return {"reloaded": False}
    try:
        entries = _key_entries(tomllib.loads(text))
    except ValueError:
        return {"reloaded": False}
    keys: dict[str, str] = {}
    for id_, key in entries:
        key = key.strip().lower()
        if len(key) != 64 or not HEX.fullmatch(key) or len(keys) == MAX_PROVIDERS:
            break
        keys[id_] = key
    if keys != node.state.energy.keys:
        node.record(ev.ProviderKeysSet(keys))
    return {"reloaded": True}


def _key_entries(document: Params) -> list[tuple[str, str]]:
    section = document.get("energy", {})
    listed = section.get("provider_keys", []) if isinstance(section, dict) else None
    if not isinstance(listed, list):
        raise ValueError("energy.provider_keys: expected a list of tables")
    found: list[tuple[str, str]] = []
    for entry in listed:
        pair = (entry.get("provider_id"), entry.get("public_key_hex")) if isinstance(entry, dict) else (None, None)
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise ValueError("energy.provider_keys: expected provider_id and public_key_hex, both strings")
        found.append((pair[0], pair[1]))
    return found


METHODS: dict[str, Callable[[Node, Any], Any]] = {"config.reload": reload}
