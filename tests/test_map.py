"""The map in `handbook` lists every module of the engine, and each imports only from the ones above it.

`node/`, `macros/` and `chain/` stand as wholes: `node/` and `chain/` have maps of their own, and what a macro or a
command needs it imports when it runs.
"""

from __future__ import annotations

import ast
from pathlib import Path

import handbook

FOLDER = Path(handbook.__file__).parent
WHOLES = {"node", "macros", "chain"}


def listed(text: str) -> list[str]:
    return [line.split()[0].rstrip("/") for line in text.splitlines() if line.startswith("    ")]


def modules() -> dict[str, str]:
    """Source by name as the map has it."""
    found = {}
    for file in sorted(FOLDER.rglob("*.py")):
        name = file.relative_to(FOLDER).with_suffix("").as_posix()
        if file.name not in ("__init__.py", "__main__.py") and name.split("/")[0] not in WHOLES:
            found[name] = file.read_text()
    return found


def imported(source: str, known: set[str]) -> set[str]:
    """What a module imports when it is loaded, as the map has it."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handbook"):
            place = str(node.module).split(".")[1:]
            for name in [place, *([*place, alias.name] for alias in node.names)]:
                found |= {"/".join(name[:depth]) for depth in range(1, len(name) + 1)} & known
    return found


def upwards(order: list[str], sources: dict[str, str]) -> list[str]:
    known = set(order)
    return [
        f"{name} imports {other}"
        for name, source in sources.items()
        for other in sorted(imported(source, known))
        if order.index(other) > order.index(name)
    ]


def test_the_map_is_whole_and_its_order_holds() -> None:
    order, sources = listed(handbook.__doc__ or ""), modules()
    assert sorted(order) == sorted([*sources, *WHOLES]) and len(order) > 80
    assert upwards(order, sources) == []


def test_an_import_from_below_is_found() -> None:
    sources = {
        "a": "from handbook.b import c\nfrom handbook import a\n",
        "b/c": "def f():\n    from handbook import d\n",
    }
    assert upwards(["a", "b/c", "d"], sources) == ["a imports b/c"]
