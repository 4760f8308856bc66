"""Puts cases to a node, and gives each a verdict: of the case, and of what the ledger says of the node's build.

    passed    the answer reaches the level that it must
    failed    it does not, and no deviation lists the case
    deviates  it does not, as a listed deviation says
    mended    it does, although a listed deviation says otherwise: the ledger is wrong
    not run   the case cannot be put to this node, with the reason

`failed` and `mended` make a run fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handbook.node.limiter import BANNED, RATE_LIMITED
from handbook.rpc import levels
from handbook.rpc.bench import Asked, Bench
from handbook.rpc.cases import Case, Step
from handbook.rpc.levels import Answered, Judgement

VERDICTS = ("passed", "failed", "deviates", "mended", "not run")
BAD = frozenset({"failed", "mended"})
LIMITED = "a limiter of the node refused the call"
"""With their default rates, the limiters of settlements and disputes refuse every call."""


@dataclass(frozen=True)
class Result:
    """`needed` is the level that the answer must reach; `reason` is why a case was not run."""

    case: Case
    verdict: str
    needed: str = ""
    judged: Judgement | None = None
    deviations: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0
    calls: tuple[tuple[Step, Any], ...] = ()
    answered: Answered | None = None

    @property
    def told(self) -> str:
        """What keeps the answer from the level it must reach, in words."""
        if self.verdict == "mended":
            return f"{', '.join(self.deviations)} lists it, and it holds"
        return str((self.judged and self.judged.difference) or "")


def run(
    chosen: Iterable[Case],
    bench: Bench,
    deviating: Mapping[str, tuple[str, ...]],
    level: str | None = None,
    progress: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """One result per case, in their order. Raises Unreachable. `level` in place of the one that is enough."""
    results = []
    for case in chosen:
        if reason := bench.why_not(case):
            result = Result(case, "not run", reason=reason)
        else:
            since = time.monotonic()
            asked = bench.ask(case)
            needed = level or levels.enough(case, bench.live)
            if not bench.own and _limited(asked) and not _is_limit(case.answer):
                result = Result(case, "not run", reason=LIMITED, calls=tuple(asked.calls))
            else:
                result = _judged(case, asked, needed, bench.live, deviating.get(case.id, ()), time.monotonic() - since)
        results.append(result)
        progress(result)
    return results


def _judged(case: Case, asked: Asked, needed: str, live: bool, deviations: tuple[str, ...], seconds: float) -> Result:
    judged = Judgement("none", asked.broken) if asked.answered is None else levels.judge(case, asked.answered, live)
    if judged.reaches(needed):
        verdict = "mended" if deviations else "passed"
    else:
        verdict = "deviates" if deviations else "failed"
    return Result(
        case, verdict, needed, judged, deviations, seconds=seconds, calls=tuple(asked.calls), answered=asked.answered
    )


def _limited(asked: Asked) -> bool:
    return asked.answered is not None and _is_limit(asked.answered.body)


def _is_limit(answer: Any) -> bool:
    error = answer.get("error") if isinstance(answer, dict) else None
    return isinstance(error, dict) and (error.get("code"), error.get("message")) in (RATE_LIMITED, BANNED)
