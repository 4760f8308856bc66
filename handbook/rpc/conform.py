"""`handbook conform`: which cases, on which node, and what is said and written of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from handbook.control import Control
from handbook.node.deviations import BUILDS, CONTRACT
from handbook.rpc import cases, conformity, levels, listed, recordings, trial
from handbook.rpc.bench import Allowed, Bench, OneNode, OwnNodes
from handbook.rpc.cases import Case
from handbook.rpc.starts import TOKENS
from handbook.rpc.trial import Result


class Unusable(Exception):
    """Options that do not go together, or name what is not there."""


def conform(
    names: Sequence[str] = (),
    url: str | None = None,
    control: str | None = None,
    start: str = "open",
    tokens: Sequence[str] = (),
    allow_writes: bool = False,
    also: Sequence[str] = (),
    rate: int = 10,
    build: str | None = None,
    level: str | None = None,
    recordings: Sequence[Path] = (),
    out: Path | None = None,
    record: Path | None = None,
    update: bool = False,
) -> bool:
    """Prints the table and the failures; true if there are any. Raises Unusable, BadCase, Unreachable, RuntimeError."""
    if url is None and (control or tokens or allow_writes or also):
        raise Unusable("--control, --token, --allow-writes and --also are for a node that --node names")
    if update and (url or build or recordings):
        raise Unusable("--update takes its answers from mock nodes of the contract, started for it")
    build = build or _build(control)
    if build not in BUILDS:
        raise Unusable(f"--build {build}: expected one of {', '.join(BUILDS)}")
    chosen = choose(names, recordings, draft=update)
    deviating = {} if recordings else listed.of_build(build, [case.id for case in chosen])
    progress = _Progress(len(chosen))
    try:
        allowed = Allowed(allow_writes, frozenset(also), float(rate))
        start = "tokens" if tokens else start
        bench = OneNode(url, control, start, _tokens(tokens), allowed) if url else OwnNodes(build)
    except ValueError as error:  # an address of another kind
        raise Unusable(str(error)) from None
    with bench:
        results = trial.run(chosen, bench, deviating, level, progress)
        progress.end()
        return _report(results, bench, build, out, record, update)


def _build(control: str | None) -> str:
    """Of the mock node that listens there; the contract where there is none."""
    if control is None:
        return CONTRACT
    try:
        client = Control(control)
    except ValueError as error:
        raise Unusable(str(error)) from None
    try:
        return str(client.call("mock.status")["build"])
    finally:
        client.close()


def choose(names: Sequence[str], files: Sequence[Path], draft: bool = False) -> list[Case]:
    """The cases that are named, or all; those of recordings in their place. Raises BadCase, Unusable."""
    if files:
        try:
            found = [case for file in files for case in recordings.read(file)]
        except OSError as error:
            raise Unusable(f"{error.filename}: {error.strerror}") from None
    else:
        found = [cases.read(file, draft) for file in cases.files(cases.DIRECTORY)]
        found = cases.in_order(found)
    chosen = [case for case in found if not names or any(_fits(case, name) for name in names)]
    for name in names:
        if not any(_fits(case, name) for case in chosen):
            raise Unusable(f"{name}: no such method or case (hint: ls snippets/rpc)")
    return chosen


def _fits(case: Case, name: str) -> bool:
    return fnmatchcase(case.id if "/" in name else case.method, name)


def _tokens(given: Iterable[str]) -> dict[str, str]:
    found = {}
    for one in given:
        role, _, file = one.partition("=")
        if role not in TOKENS or not file:
            raise Unusable(f"--token {one}: expected ROLE=FILE, with one of {', '.join(TOKENS)}")
        try:
            found[role] = Path(file).read_text().strip()
        except OSError as error:
            raise Unusable(f"--token {one}: {error.strerror}") from None
    return found


def _report(
    results: list[Result], bench: Bench, build: str, out: Path | None, record: Path | None, update: bool
) -> bool:
    if update:
        for result in results:
            _rewrite(result)
        return False
    print(conformity.table(results))
    for reason in conformity.reasons(results):
        print(reason)
    failures = conformity.failures(results)
    for failure in failures:
        print(failure, file=sys.stderr)
    if out:
        conformity.write(results, bench.name, build, out)
    if record:
        print(f"{record}: {conformity.record(results, record)} calls")
    print(conformity.summary(results, bench.name if bench.own else "this node"))
    return bool(failures)


def _rewrite(result: Result) -> None:
    """Into the case's file, if the answer is another one; volatile values that still fit stay."""
    case, judged = result.case, result.judged
    if judged is None or judged.level == levels.LEVELS[-1]:
        return
    if result.answered is None:
        raise Unusable(f"{case.id}: {judged.difference}")
    data = json.loads(case.path.read_text(encoding="utf-8"))
    data["answer"] = result.answered.body
    data.pop("status", None)
    if result.answered.status != 200:
        data["status"] = result.answered.status
    case.path.write_text(cases.written(data), encoding="utf-8")
    print(f"{case.id}: rewritten")


class _Progress:
    """A line that tells how far it is, where somebody watches."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._live = total, 0, sys.stderr.isatty()

    def __call__(self, result: Result) -> None:
        self._done += 1
        if self._live:
            print(f"\r\033[K{self._done}/{self._total} {result.case.method}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
