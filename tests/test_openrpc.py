"""The description of the RPC says what the mock node does: methods, roles, limiters, builds, errors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from handbook import facts
from handbook.node import gate, methods
from handbook.node.config import EnergyRates, Limits

DOCUMENT: dict[str, Any] = json.loads((facts.SNIPPETS / "openrpc.json").read_text())
METHODS: dict[str, dict[str, Any]] = {method["name"]: method for method in DOCUMENT["methods"]}
ROLES = {"provider": "provider", "oracle": "oracle", "admin": "energy_admin"}


def problems(document: dict[str, Any]) -> list[str]:
    found = jsonschema.Draft202012Validator(facts.schema("openrpc")).iter_errors(document)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in found]


def test_the_document_fits_its_schema() -> None:
    assert problems(DOCUMENT) == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("x-role", "root"),
        ("x-effect", "maybe"),
        ("x-limiter", "none"),
        ("errors", [{"code": "x"}]),
        ("x-new", 1),
        ("name", ""),
    ],
)
def test_the_schema_refuses_what_nothing_reads(member: str, value: Any) -> None:
    changed = DOCUMENT | {"methods": [DOCUMENT["methods"][0] | {member: value}]}
    assert problems(changed)


def test_every_method_that_is_served_is_described_once() -> None:
    assert len(METHODS) == len(DOCUMENT["methods"]) == 51
    assert METHODS.keys() == methods.METHODS.keys()
    assert {
        alias: name for name, method in METHODS.items() for alias in method.get("x-alias", {}).get("names", [])
    } == (methods.ALIASES)


def test_roles_and_limiters_are_the_gates() -> None:
    for name, method in METHODS.items():
        role = "admin" if name in gate.ADMIN else "loopback" if name in gate.LOOPBACK else "none"
        assert method["x-role"] == ROLES.get(gate.ROLES.get(name, ""), role), name
        limiter = f"energy.{gate.CLASSES.get(name, 'read')}" if name.startswith("energy.") else "general"
        assert method["x-limiter"] == limiter, name
        reachable = not name.startswith(gate.TREASURY) and name not in gate.UNLISTED
        assert method["x-builds"] == {"contract": "served", "0ecc756a": "served" if reachable else "unreachable"}, name


def test_the_limiters_refill_as_the_node_does() -> None:
    per_second = {"general": Limits().tokens_per_second}
    per_second |= {f"energy.{name}": getattr(EnergyRates(), name) for name in ("read", "submit", "settle", "dispute")}
    assert {name: one["per_minute"] / 60 for name, one in DOCUMENT["x-limiters"].items()} == pytest.approx(per_second)
    for name, one in DOCUMENT["x-limiters"].items():
        assert one[
            "variable"
        ] == f"TB_RPC_{name.upper().replace('.', '_') if name != 'general' else ''}_TOKENS_PER_SEC".replace(
            "RPC__", "RPC_"
        )


def test_each_code_is_named_once_with_the_first_message_that_the_node_gives() -> None:
    total = 0
    for name, method in METHODS.items():
        first: dict[int, str] = {}
        for error in method["x-errors"]:
            first.setdefault(error["code"], error["message"])
        assert {error["code"]: error["message"] for error in method["errors"]} == first, name
        assert len(method["errors"]) == len(first), name
        messages = [(error["code"], error["message"]) for error in method["x-errors"]]
        assert len(set(messages)) == len(messages), name
        total += len(messages)
    assert total == 147


def test_every_x_member_is_explained() -> None:
    used = {name for part in (DOCUMENT, *DOCUMENT["methods"]) for name in part if name.startswith("x-")} - {"x-legend"}
    used |= {
        name for method in DOCUMENT["methods"] for param in method["params"] for name in param if name.startswith("x-")
    }
    used |= {
        name
        for method in DOCUMENT["methods"]
        for param in method["params"]
        for name in param["schema"]
        if name.startswith("x-")
    }
    assert used == DOCUMENT["x-legend"].keys()
