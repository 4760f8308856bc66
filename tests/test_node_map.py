"""The map in `handbook.node` lists every module, and each imports only from the ones below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import handbook.node

FOLDER = Path(handbook.node.__file__).parent


def listed() -> list[str]:
    lines = (handbook.node.__doc__ or "").splitlines()
    return [line.split()[0] for line in lines if line.startswith("    ")]


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules of this package, but for those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handbook.node"):
            inner = (node.module or "").removeprefix("handbook.node").lstrip(".")
            yield from [inner] if inner else [name.name for name in node.names]
        yield from imports(node)


def upwards(order: list[str], sources: dict[str, str]) -> list[str]:
    return [
        f"{name} imports {found}"
        for name, source in sources.items()
        for found in imports(ast.parse(source))
        if order.index(found) <= order.index(name)
    ]


def test_the_map_is_whole_and_its_order_holds() -> None:
    sources = {path.stem: path.read_text() for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    order = listed()
    assert sorted(order) == sorted(sources) and len(order) >= 63
    assert upwards(order, sources) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from handbook.node.state import State", ["events imports state"]),
        ("def f():\n    from handbook.node import log, deviations", ["events imports log"]),
        ("if TYPE_CHECKING:\n    from handbook.node.node import Node", []),
    ],
)
def test_an_import_upwards_is_named(source: str, found: list[str]) -> None:
    assert upwards(listed(), {"events": source}) == found
