"""The description of the RPC: whole, sound, and what the mock's code does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from handbook import reference
from handbook.node import energy_reads, gate, liveness, treasury
from handbook.node.config import EnergyRates, Limits
from handbook.node.methods import ALIASES, METHODS

DOCUMENT = reference.load()


def test_the_description_holds() -> None:
    assert [] == reference.check()
    assert 51 == len(reference.methods())
    assert 147 == sum(len(described["x-errors"]) for described in reference.methods().values())


def method(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["methods"] if one["name"] == name)


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "breaks its metaschema at methods/0": lambda d: d["methods"][0].pop("x-role"),
    "breaks its metaschema at methods/0/params/0": lambda d: d["methods"][0]["params"][0].pop("description"),
    "breaks its metaschema at openrpc": lambda d: d.update(openrpc="1.3.2"),
    "each once": lambda d: d["methods"].append(copy.deepcopy(d["methods"][0])),
    "differ in x-unit": lambda d: d["x-legend"].pop("x-unit"),
    "errors is not x-errors": lambda d: method(d, "energy.settle")["errors"].pop(),
    "a param is described twice": lambda d: (ps := method(d, "gov_vote")["params"]).append(dict(ps[0])),
    "stands after an optional one": lambda d: method(d, "energy.settle")["params"].reverse(),
    "its default breaks its schema": lambda d: method(d, "gov_vote")["params"][1]["schema"].update(default=-1),
    "does not declare -32601": lambda d: method(d, "gov_list").update({"errors": [], "x-errors": []}),
}


@pytest.mark.parametrize("message", BREAKS)
def test_a_broken_description_is_found(message: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    BREAKS[message](document)
    found = [str(problem) for problem in reference.check(document)]
    assert 1 == len(found) and message in found[0], found


def test_every_method_that_is_served_is_described_and_no_other() -> None:
    assert set(METHODS) == set(reference.methods())


def test_role_and_limiter_are_those_of_the_gate() -> None:
    roles = {gate.PROVIDER: "provider", gate.ORACLE: "oracle", gate.ENERGY_ADMIN: "energy_admin"}
    for name, described in reference.methods().items():
        listed = "admin" if name in gate.ADMIN else "loopback" if name in gate.LOOPBACK else "none"
        assert described["x-role"] == (roles[gate.ROLES[name]] if name in gate.ROLES else listed), name
        of_energy = f"energy.{gate.CLASSES.get(name, 'read')}"
        assert described["x-limiter"] == (of_energy if name.startswith("energy.") else "general"), name


def test_builds_and_aliases_are_those_of_the_code() -> None:
    aliases = {}
    for name, described in reference.methods().items():
        reachable = not name.startswith(gate.TREASURY) and name not in gate.UNLISTED
        assert described["x-builds"] == {"contract": "served", "0ecc756a": "served" if reachable else "unreachable"}, (
            name
        )
        aliases |= dict.fromkeys(described.get("x-alias", {}).get("names", []), name)
    assert aliases == ALIASES


def test_the_limiters_refill_as_the_code_does() -> None:
    rates = EnergyRates()
    per_minute = {f"energy.{field.name}": getattr(rates, field.name) * 60 for field in fields(rates)}
    per_minute["general"] = Limits().tokens_per_second * 60
    for name, one in DOCUMENT["x-limiters"].items():
        middle = "" if name == "general" else f"{name.upper().replace('.', '_')}_"
        assert one["variable"] == f"TB_RPC_{middle}TOKENS_PER_SEC"
    assert per_minute == pytest.approx({name: one["per_minute"] for name, one in DOCUMENT["x-limiters"].items()})


def test_clamps_and_defaults_are_those_of_the_code() -> None:
    found = {
        (one["name"], param["name"]): (param["x-clamp"], param["schema"]["default"])
        for one in DOCUMENT["methods"]
        for param in one["params"]
        if "x-clamp" in param
    }
    pages = ([1, energy_reads.MAX_PAGE_SIZE], energy_reads.PAGE_SIZE)
    lists = ([1, treasury.MAX_LIMIT], treasury.DEFAULT_LIMIT)
    assert found == {
        **{(f"energy.{name}", "page_size"): pages for name in ("credits", "disputes", "receipts", "slashes")},
        **{(f"gov.treasury.{name}", "limit"): lists for name in ("balance_history", "disbursements")},
        ("light.headers", "limit"): ([0, liveness.MAX_HEADERS], 200),
    }
