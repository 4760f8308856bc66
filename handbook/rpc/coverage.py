"""What the cases leave out of the description of the RPC: methods, errors, members, params. And which are wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from handbook import document
from handbook.problem import Problem
from handbook.rpc import cases, fields, levels, reference
from handbook.rpc.cases import Case
from handbook.rpc.levels import Answered

_SENTENCE = re.compile(r"\w+(-\w+){2,}")
ANYWHERE = "any method"
"""Stands for the method of errors that any call may get."""


def check(directory: Path = cases.DIRECTORY) -> tuple[list[Problem], Counter[str]]:
    """What is missing or wrong, and how much was looked at."""
    found, read = [], []
    for file in cases.files(directory):
        try:
            read.append(cases.read(file))
        except cases.BadCase as error:
            found.append(error.problem)
    for case in read:
        found += [Problem(document.shown(case.path), what) for what in _wrong(case)]
    found += _twice(read)
    by_method: dict[str, list[Case]] = {}
    for case in read:
        by_method.setdefault(case.method, []).append(case)
    for name, method in reference.methods().items():
        found += _missing(name, method, by_method.get(name, []), directory)
    caused = {id(levels.declared(case, case.answer["error"])) for case in read if case.error_code is not None}
    entries = _errors()
    found += [
        _problem(name, directory, what) for name, entry in entries if (what := _uncaused(entry, id(entry) in caused))
    ]
    counts = Counter({"cases": len(read), "errors caused": sum(id(entry) in caused for _, entry in entries)})
    return found, counts


def _errors() -> list[tuple[str, dict[str, Any]]]:
    """Every declared error, with its method."""
    of_methods = [(name, entry) for name, method in reference.methods().items() for entry in method["x-errors"]]
    return [*of_methods, *((ANYWHERE, entry) for entry in reference.general_errors())]


def _uncaused(entry: dict[str, Any], caused: bool) -> str:
    told = f"{entry['code']} {entry['message']}"
    if caused:
        return f"{told}: a case causes it, and it says uncaused" if "uncaused" in entry else ""
    return "" if "uncaused" in entry else f"no case causes {told}"


def _missing(name: str, method: reference.Method, found: list[Case], directory: Path) -> list[Problem]:
    succeeding = [case for case in found if case.error_code is None]
    problems = []
    if "x-no-success" in method:
        for case in succeeding:
            problems.append(_problem(name, directory, f"{case.name}: succeeds, in spite of x-no-success"))
    elif not succeeding:
        problems.append(_problem(name, directory, "no case succeeds"))
    else:
        for field in fields.of_schema(method["result"]["schema"]["$ref"]):
            if not field.path or field.path[-1] == "*":
                continue
            held = any(next(fields.places(case.answer["result"], field.path), None) for case in succeeding)
            if held and field.unproduced:
                problems.append(_problem(name, directory, f"{field} is held by a case, and it says x-unproduced"))
            elif not held and not field.unproduced:
                problems.append(_problem(name, directory, f"no case's answer holds {field}"))
    asked = [case.request["params"] for case in found if isinstance(case.request.get("params"), dict)]
    for param in method["params"]:
        if not any(param["name"] in params for params in asked):
            problems.append(_problem(name, directory, f"no case asks with param {param['name']}"))
    return problems


def _wrong(case: Case) -> list[str]:
    method = reference.methods().get(case.method)
    if method is None:
        return [f"there is no method {case.method}"]
    found = [] if _SENTENCE.fullmatch(case.path.stem) else ["its name is no sentence: expected words-with-hyphens"]
    names = (case.method, *method.get("x-alias", {}).get("names", ()))
    if case.request["method"] not in names and case.error_code != -32601:
        found.append(f"asks {case.request['method']}, and stands with {case.method}")
    judged = levels.judge(case, Answered(case.status, case.answer))
    if judged.difference:
        found.append(f"its own answer: {judged.difference}")
    if case.token and case.node != "tokens":
        found.append(f"bears a token, and a node that was started {case.node} knows none")
    for step in case.before:
        if "method" in step and step["method"] not in reference.methods():
            found.append(f"before: there is no method {step['method']}")
    return found


def _twice(read: list[Case]) -> list[Problem]:
    seen: dict[str, Case] = {}
    found = []
    for case in read:
        asks = json.dumps([case.node, case.before, case.token, case.request], sort_keys=True)
        if asks in seen:
            found.append(Problem(document.shown(case.path), f"asks the same as {seen[asks].id}"))
        seen.setdefault(asks, case)
    return found


def _problem(method: str, directory: Path, what: str) -> Problem:
    folder = document.shown(directory if method == ANYWHERE else directory / method)
    hint = f"add {folder}/A-SENTENCE.json; handbook conform --update fills its answer in"
    return Problem("snippets/openrpc.json", f"{method}: {what}", hint if what.startswith("no case") else "")
