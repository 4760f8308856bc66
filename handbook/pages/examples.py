"""Checks of blocks that are shown but not run: JSON, YAML, TOML and INI examples, and queries.

Each check takes a block and returns what is wrong with it, as lines that begin with `page:line:`; none is a pass.
"""

from __future__ import annotations

import configparser
import json
import tempfile
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource

from handbook import facts, tool
from handbook.pages.compare import indent, strict_json
from handbook.pages.page import Block

TOOLS = {
    "promtool-rules": ("promtool", "check", "rules", "--lint-fatal"),
    "promtool-config": ("promtool", "check", "config", "--syntax-only"),
    "amtool": ("amtool", "check-config"),
}


def check_json(block: Block) -> list[str]:
    if "schema" not in block.attrs:
        return [
            f"{block.where}: a JSON example names no schema"
            '\n  hint: {.json schema="NAME"}, or {.json .output .no-copy} for what the block above prints'
        ]
    try:
        document = strict_json(block.text)
    except json.JSONDecodeError as error:
        return [f"{block.page}:{block.body_line + error.lineno - 1}: not JSON: {error.msg} (column {error.colno})"]
    return _against_schema(block, document)


def check_yaml(block: Block) -> list[str]:
    try:
        document = yaml.safe_load(block.text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = block.body_line + (mark.line if mark else 0)
        return [f"{block.page}:{line}: not YAML: {getattr(error, 'problem', None) or error}"]
    if "schema" in block.attrs:
        return _against_schema(block, document)
    if "tool" in block.attrs:
        return _with_tool(block)
    return [f"{block.where}: a YAML example names neither schema= nor tool=\n  hint: tools: {', '.join(TOOLS)}"]


def check_toml(block: Block) -> list[str]:
    try:
        document = tomllib.loads(block.text)
    except tomllib.TOMLDecodeError as error:
        return [f"{block.where}: not TOML: {error}"]
    return _against_schema(block, document) if "schema" in block.attrs else []


def check_ini(block: Block) -> list[str]:
    try:
        configparser.ConfigParser(strict=True, interpolation=None).read_string(block.text)
    except configparser.Error as error:
        return [f"{block.where}: not INI: {error.message.splitlines()[0]}"]
    return []


def _against_schema(block: Block, document: Any) -> list[str]:
    name = block.attrs["schema"]
    try:
        found = validator(name).iter_errors(document)
    except KeyError as error:
        return [f"{block.where}: {error.args[0]}"]
    return [f"{block.where}: {error.json_path}: {error.message}" for error in sorted(found, key=lambda e: e.json_path)]


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Of `snippets/schemas/NAME.json`, with the schemas beside it as its registry: nothing is fetched."""
    registry: Registry[Any] = Registry()
    for one in facts.schema_names():
        contents = facts.schema(one)
        registry = registry.with_resource(contents["$id"], Resource.from_contents(contents))
    schema = facts.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, registry=registry, format_checker=jsonschema.FormatChecker())


def _with_tool(block: Block) -> list[str]:
    name = block.attrs["tool"]
    if name not in TOOLS:
        return [f"{block.where}: no tool {name!r}\n  hint: one of {', '.join(TOOLS)}"]
    program, *arguments = TOOLS[name]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "example.yml")
        file.write_text(block.text)
        try:
            said = tool.run(program, *arguments, str(file))
        except tool.MissingTool as missing:
            return [f"{block.where}: {missing.problem}"]
    if said.status:
        return [f"{block.where}: {program} rejects it:\n{indent(said.output.replace(str(file), 'example').strip())}"]
    if " 0 rules found" in said.output:
        return [f"{block.where}: {program} found no rule in it"]
    return []


CHECKS = {"json": check_json, "yaml": check_yaml, "toml": check_toml, "ini": check_ini}
