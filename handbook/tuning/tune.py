"""`handbook thresholds`: a window of data, the thresholds held against it, and new numbers written if so wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from handbook import document, facts, pictures
from handbook.monitoring import rules
from handbook.monitoring.query_api import QueryApi
from handbook.monitoring.rules import Rule
from handbook.problem import Problem
from handbook.tuning import history, retune, staging_week, thresholds, tuning, tuning_table
from handbook.tuning.thresholds import Threshold
from handbook.tuning.tuning import Window

RULES = [facts.ROOT / "monitoring" / name for name in retune.RULE_FILES]


class BadRequest(Exception):
    """What was asked for cannot be done; the text says why."""


@dataclass(frozen=True)
class Outcome:
    text: str
    problems: list[Problem]


def tune(
    source: QueryApi | None,
    window: Window,
    wanted: dict[str, str],
    write: bool,
    plots: Path | None,
    only: Iterable[str] = (),
) -> Outcome:
    """Measures, replays, draws and writes. `source` None takes the synthetic week.

    Raises BadRequest, QueryFailed, MissingTool, FileNotFoundError.
    """
    loaded = rules.load_rules(*RULES)
    chosen = _chosen(thresholds.load(), tuple(only))
    _check_wanted(wanted, chosen)
    if source:
        return _tune(source, window, loaded, chosen, wanted, write, plots, "")
    with synthetic(loaded, chosen) as api:
        return _tune(api, window, loaded, chosen, wanted, write, plots, staging_week.MARK)


@contextmanager
def synthetic(loaded: tuple[Rule, ...], chosen: tuple[Threshold, ...]) -> Iterator[QueryApi]:
    """A Prometheus that holds the synthetic week, as far as these thresholds rest on it."""
    alerts = {one.alert for one in chosen}
    expressions = ["up", *(one.measure for one in chosen), *(rule.expr for rule in loaded if rule.name in alerts)]
    scraped, recorded = history.needed(expressions, loaded)
    with tempfile.TemporaryDirectory(prefix="handbook-staging-") as scratch:
        samples = Path(scratch) / "week.om"
        staging_week.write(samples, scraped)
        past = history.History(samples, recorded, staging_week.START, staging_week.END)
    try:
        yield past.api
    finally:
        past.stop()


def _tune(
    api: QueryApi,
    window: Window,
    loaded: tuple[Rule, ...],
    chosen: tuple[Threshold, ...],
    wanted: dict[str, str],
    write: bool,
    plots: Path | None,
    mark: str,
) -> Outcome:
    if problems := tuning.check_window(api, window):
        return Outcome("", problems)

    def proposed(one: Threshold, points: dict[str, float]) -> float | None:
        if one.key not in wanted:
            return None
        named = wanted[one.key]
        return tuning.rounded(points[named]) if named in points else float(named)

    measured, problems = tuning.measure(api, chosen, loaded, window, proposed)
    parts = [tuning_table.table(measured, window, mark)] if measured else []
    if plots and measured:
        from handbook.tuning import tuning_plot

        files = tuning_plot.plot_all(measured, window, plots, mark)
        pictures.stamp(plots)
        parts.append(f"{len(files)} pictures in {document.shown(plots)}")
    if write:
        if missing := [key for key in wanted if key not in {one.threshold.key for one in measured}]:
            raise BadRequest(f"nothing is written: no data for {', '.join(missing)}")
        numbers = {one.threshold.key: one.proposed.value for one in measured if one.proposed}
        parts.append(_write(numbers, chosen, loaded))
    return Outcome("\n\n".join(parts), problems)


def _write(numbers: dict[str, float], chosen: tuple[Threshold, ...], loaded: tuple[Rule, ...]) -> str:
    home = retune.of_checkout()
    told = retune.write(numbers, chosen, loaded, home)
    if not told:
        return "nothing to write: the numbers are the ones of today"
    left = [
        problem
        for one in chosen
        if numbers.get(one.key, one.value) != one.value
        for problem in retune.still_told(one, home)
    ]
    lines = ["written:", *(f"  {line}" for line in told)]
    if left:
        lines += [
            "these lines still tell the old number; change them by hand:",
            *(f"  {one.where}: {one.message}" for one in left),
        ]
    lines.append("then say in snippets/thresholds.yml why (`because`), and run: make check")
    return "\n".join(lines)


def _chosen(every: tuple[Threshold, ...], only: tuple[str, ...]) -> tuple[Threshold, ...]:
    known = {one.key for one in every} | {one.alert for one in every}
    if unknown := [name for name in only if name not in known]:
        raise BadRequest(f"no threshold {unknown[0]}\n  hint: one of {', '.join(one.key for one in every)}")
    return tuple(one for one in every if not only or one.key in only or one.alert in only)


def _check_wanted(wanted: dict[str, str], chosen: tuple[Threshold, ...]) -> None:
    for key, value in wanted.items():
        if key not in {one.key for one in chosen}:
            raise BadRequest(f"no threshold {key}\n  hint: one of {', '.join(one.key for one in chosen)}")
        if value not in tuning.POINTS:
            try:
                float(value)
            except ValueError:
                names = ", ".join(tuning.POINTS)
                raise BadRequest(f"{key}={value}: expected a number or one of {names}") from None


def seconds(duration: str) -> float:
    """`7d`, `36h`. Raises click.BadParameter."""
    import promql_parser

    try:
        found = float(promql_parser.parse_duration(duration).total_seconds())
    except ValueError:
        raise click.BadParameter(f"{duration!r} is no duration; as in 7d or 36h") from None
    if found < 3600:
        raise click.BadParameter(f"{duration} is too short for a percentile; at least 1h")
    return found
