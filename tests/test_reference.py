"""The description of the RPC: whole, sound, and what the mock's code does."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from handbook.node import energy_reads, gate, liveness, treasury
from handbook.node.config import EnergyRates, Limits
from handbook.node.methods import ALIASES, METHODS
from handbook.rpc import reference, schemas

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


def test_the_schemas_are_sound_and_their_examples_fit() -> None:
    found, counts = schemas.check()
    assert [] == found
    assert counts["schemas"] >= 60 and counts["examples"] >= 20


BROKEN_SCHEMAS: dict[str, dict[str, Any]] = {
    "$id: expected https://handbook.the-block.example/schemas/balance.json, got https://elsewhere": {
        "$id": "https://elsewhere"
    },
    "$schema: expected https://json-schema.org/draft/2020-12/schema, got None": {"$schema": None},
    "no schema: $.type": {"type": "number or string"},
    "does not fit: $: -1 is less than the minimum of 0": {"properties": {"a": {"minimum": 0, "examples": [-1]}}},
    "$.properties.a: 7 does not fit: $: 7 is not of type 'string'": {
        "properties": {"a": {"type": "string", "default": 7}}
    },
    "$.items.x-volatile: expected one of": {"items": {"x-volatile": "sometimes"}},
    "$.items.$ref: there is no schema https://handbook.the-block.example/schemas/no.json": {
        "items": {"$ref": "https://handbook.the-block.example/schemas/no.json"}
    },
    "$.x-hint: expected one of": {"x-hint": "ours, and known to nobody"},
}


@pytest.mark.parametrize("message", BROKEN_SCHEMAS)
def test_an_unsound_schema_is_found(message: str, tmp_path: Path) -> None:
    address = "https://handbook.the-block.example/schemas/balance.json"
    (tmp_path / "balance.json").write_text(
        json.dumps({"$id": address, "$schema": schemas.DIALECT} | BROKEN_SCHEMAS[message])
    )
    (found,) = schemas.check(tmp_path)[0]
    assert message in str(found)


def test_a_schema_that_is_not_json_is_found(tmp_path: Path) -> None:
    (tmp_path / "balance.json").write_text("{")
    assert ["balance.json: not JSON"] == [str(one).rpartition("/")[2][:22] for one in schemas.check(tmp_path)[0]]


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


OFFICIAL = {
    "@open-rpc/spec@1.4.1": (
        "package/dist/1_4/schema.json",
        "dfe47a2ed5a67e0ca4466af210df3e9d1267ee62d1f8aba856ff7b1d73fe2abd",
    ),
    "@json-schema-tools/meta-schema@1.8.0": (
        "package/index.js",
        "f3181be9a3aee846115f2e0a256721860eb386bfab8aca36cb00f5a9a609d167",
    ),
}
"""The npm packages of OpenRPC's metaschema and of the one of JSON Schema that it refers to: its file, its hash."""


def official(package: str, directory: Path) -> dict[str, Any]:
    """The schema in a file of the package, JSON or a module that exports it. Asks the registry npm is set up for."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=directory, capture_output=True, text=True, timeout=120, check=True
    )
    file = directory / packed.stdout.split()[-1]
    inside, digest = OFFICIAL[package]
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    with tarfile.open(file) as archive:
        member = archive.extractfile(inside)
        assert member
        text = member.read().decode()
    schema, _ = json.JSONDecoder().raw_decode(text, text.index("{", max(0, text.find('"$schema"') - 20)))
    assert isinstance(schema, dict)
    return schema


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm fetches the official metaschema")
def test_the_description_holds_to_the_official_metaschema(tmp_path: Path) -> None:
    openrpc, of_schemas = (official(package, tmp_path) for package in OFFICIAL)
    resource = Resource.from_contents(of_schemas, default_specification=DRAFT7)
    name = of_schemas["$id"].rstrip("/")
    validator = jsonschema.Draft7Validator(
        openrpc, registry=Registry().with_resources([(name, resource), (f"{name}/", resource)])
    )
    assert [] == [f"{error.json_path}: {error.message}" for error in validator.iter_errors(DOCUMENT)]
    document = copy.deepcopy(DOCUMENT)
    document["methods"][0]["params"][0]["schema"] = 7
    assert not validator.is_valid(document)
