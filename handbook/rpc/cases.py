"""`snippets/rpc/`: one file is one request to a fresh mock node, and its exact answer.

The file's name is a sentence with hyphens, its folder the method that the sentence is about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from handbook import document, facts
from handbook.pages import examples
from handbook.pages.compare import strict_json
from handbook.problem import Problem
from handbook.rpc.layout import lay_out

DIRECTORY = facts.SNIPPETS / "rpc"
FRESH = {"treasury_balance": 1_000_000, "clock": 1_767_225_600, "height": 0, "executor": "off"}
"""What every case finds, as params of `mock.reset`."""
Step = dict[str, Any]


class BadCase(document.Unreadable):
    """A file that is no case."""


@dataclass(frozen=True)
class Case:
    """`name` is the sentence, `before` are calls made first, `answer` is the whole envelope.

    `method` is the folder's name; the request names another one only where that is what the sentence is about.
    """

    method: str
    name: str
    path: Path
    node: str
    before: tuple[Step, ...]
    token: str | None
    request: dict[str, Any]
    status: int
    answer: dict[str, Any]

    @property
    def id(self) -> str:
        """`method/case-name`, as deviations and reports call it."""
        return f"{self.method}/{self.path.name.removesuffix('.json')}"

    @property
    def error_code(self) -> int | None:
        error = self.answer.get("error")
        return error and int(error["code"])

    @property
    def mock_only(self) -> bool:
        """Whether a step needs the control listener."""
        return any("control" in step for step in self.before)


def read(file: Path, draft: bool = False) -> Case:
    """Raises BadCase. A `draft` may have no answer yet; it is given an empty one."""
    where = document.shown(file)
    try:
        data = strict_json(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadCase(Problem(f"{where}:{error.lineno}", f"not JSON: {error.msg}")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadCase(Problem(where, f"cannot be read: {error}")) from None
    if draft and isinstance(data, dict):
        data = {"answer": {"id": 1, "jsonrpc": "2.0", "result": None}, **data}
    if wrong := next(examples.validator("rpc-case").iter_errors(data), None):
        raise BadCase(Problem(where, f"{wrong.json_path}: {wrong.message}", "schema: snippets/schemas/rpc-case.json"))
    return Case(
        method=file.parent.name,
        name=file.stem.replace("-", " "),
        path=file,
        node=data.get("node", "open"),
        before=tuple(data.get("before", ())),
        token=data.get("token"),
        request=data["request"],
        status=data.get("status", 200),
        answer=data["answer"],
    )


def files(directory: Path = DIRECTORY) -> list[Path]:
    return sorted(directory.glob("*/*.json"))


def load(directory: Path = DIRECTORY) -> dict[str, list[Case]]:
    """By method, in order of names. A method's first case is its plainest success. Raises BadCase."""
    return {method: list(found) for method, found in _load(directory).items()}


@cache
def _load(directory: Path) -> dict[str, tuple[Case, ...]]:
    found: dict[str, tuple[Case, ...]] = {}
    for case in in_order(read(file) for file in files(directory)):
        found[case.method] = (*found.get(case.method, ()), case)
    return found


def in_order(found: Iterable[Case]) -> list[Case]:
    """By method; successes come before errors, and the plain before the prepared."""
    return sorted(found, key=_order)


def _order(case: Case) -> tuple[Any, ...]:
    plain = case.error_code is not None, case.node != "open", len(case.before), case.token or "", case.name
    return case.method, *plain


def written(data: dict[str, Any]) -> str:
    """A case as its file holds it: what fits on a line of 120 stands on one."""
    order = ("node", "before", "token", "request", "status", "answer")
    return lay_out({name: data[name] for name in order if name in data}, 120) + "\n"
