"""The names that exist, by kind: what a page may call a method, a metric, a variable, a command, a flag, a port.

From the facts, and for the mock and the handbook from their own code, so that no name is written down twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import click

from handbook import document, facts
from handbook.pages import queries
from handbook.rpc import reference

KINDS = ("method", "metric", "variable", "command", "flag", "port")
FILE = facts.SNIPPETS / "names.yml"
_WORD = re.compile(r"(?<![\w.])[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")


@dataclass(frozen=True)
class Vocabulary:
    methods: frozenset[str]
    """A name that ends in `.*` stands for a family."""
    metrics: frozenset[str]
    """Series, so a histogram's three as well as its own name."""
    words: frozenset[str]
    """Whatever else in the facts looks like a metric: members, params, faults, groups of rules."""
    variables: frozenset[str]
    commands: dict[str, frozenset[str]]
    """The flags of each, `--help` not among them: `contract-cli gov list` to `--state`."""
    ports: frozenset[str]

    @cached_property
    def programs(self) -> frozenset[str]:
        return frozenset(name.partition(" ")[0] for name in self.commands)

    @cached_property
    def flags(self) -> frozenset[str]:
        return frozenset(flag for flags in self.commands.values() for flag in flags)

    @cached_property
    def segments(self) -> frozenset[str]:
        """What a method's name begins with, before its first dot."""
        return frozenset(name.partition(".")[0] for name in self.methods if "." in name)

    @cached_property
    def families(self) -> frozenset[str]:
        """What a metric's name begins with: `treasury`, `energy`."""
        return frozenset(re.split("[_:]", name, maxsplit=1)[0] for name in self.metrics) - {"up"}

    def names(self, kind: str) -> frozenset[str]:
        """Of one of `KINDS`."""
        return {
            "method": self.methods,
            "metric": self.metrics,
            "variable": self.variables,
            "command": frozenset(self.commands),
            "flag": self.flags,
            "port": self.ports,
        }[kind]


HOMES = {
    "method": "snippets/openrpc.json",
    "metric": "snippets/metrics.yml",
    "variable": "snippets/names.yml",
    "command": "snippets/names.yml",
    "flag": "snippets/names.yml",
    "port": "snippets/names.yml",
}
"""Where a name of each kind is listed."""


@cache
def load() -> Vocabulary:
    """Raises Unreadable."""
    from handbook.__main__ import main
    from handbook.node.control import METHODS as CONTROL
    from handbook.node.deviations import AT_START
    from handbook.node.faults import KINDS as FAULTS

    listed = document.read_members(FILE, commands=list, variables=list, ports=list, metrics=list, methods=list).data
    commands = {entry["name"]: frozenset(entry.get("flags", ())) for entry in listed["commands"]}
    commands |= dict(_commands("handbook", main))
    places = {str(entry["default"]) for entry in listed["variables"]}
    known = queries.known()
    families = {metric.name for metric in known.catalogue.metrics}
    return Vocabulary(
        methods=frozenset({*reference.methods(), *CONTROL, *_listed(listed["methods"])}),
        metrics=frozenset({*known.series, *families, *_listed(listed["metrics"])}),
        words=frozenset({*FAULTS, *AT_START, *_listed(listed["settings"]), *places, *_words()}),
        variables=frozenset(entry["name"] for entry in listed["variables"]),
        commands=commands,
        ports=frozenset(str(entry["port"]) for entry in listed["ports"]),
    )


def _listed(groups: list[dict[str, list[str]]]) -> Iterator[str]:
    for group in groups:
        yield from group["names"]


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, frozenset[str]]]:
    """The handbook's own, from its command line."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _commands(f"{path} {name}", one)
    else:
        options = [option for param in command.params for option in param.opts if isinstance(param, click.Option)]
        yield path, frozenset(options)


def _words() -> Iterator[str]:
    """Of schemas, the description of the RPC and the rule files."""
    schemas = facts.SNIPPETS / "schemas"
    for file in (*schemas.glob("*.json"), reference.PATH, *(facts.ROOT / "monitoring").glob("*.yml")):
        yield from _WORD.findall(file.read_text(errors="replace"))
