"""`handbook metrics`: fetch, compare, print, and the exit status. `verify_metrics_coverage.sh` is this command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from handbook.document import Unreadable
from handbook.monitoring import catalogue, metric_coverage, scrape, scrape_limits
from handbook.monitoring.catalogue import Catalogue
from handbook.monitoring.metric_report import summary, table


@dataclass(frozen=True)
class Asked:
    """The command's options, as typed."""

    url: str
    build: str
    executor: bool
    strict: bool
    budgets: tuple[str, ...]
    config: Path | None
    json: Path | None


def run(asked: Asked) -> int:
    """0: as it should be. 1: a finding. 2: there was nothing to compare, or the options do not fit."""
    where = "standard input" if asked.url == "-" else asked.url
    try:
        listed = catalogue.load()
        expected = metric_coverage.Expected(
            _build(asked.build, listed), asked.executor, asked.strict, _budgets(asked.budgets, listed)
        )
        limits = scrape_limits.load(asked.config or scrape_limits.FILE)
        found = scrape.read(scrape.fetch(asked.url), where)
    except (scrape.NoScrape, Unreadable, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    compared = metric_coverage.compare(found, listed, limits, expected)
    for line in [*table(compared), *summary(compared)]:
        click.echo(line)
    if not any(one.verdict == "there" for one in compared.findings):
        click.echo("hint: not one listed metric is in it: is this the node's metrics address?", err=True)
    if asked.json:
        try:
            asked.json.write_text(json.dumps(compared.document(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            click.echo(f"Error: {asked.json}: cannot be written: {error.strerror}", err=True)
            return 2
    return 1 if compared.failed else 0


def _build(name: str, listed: Catalogue) -> str:
    known = [metric_coverage.CONTRACT, *sorted({build for metric in listed.metrics for build in metric.builds})]
    if name not in known:
        raise ValueError(f"--build {name}: unknown\n  hint: one of {', '.join(known)}")
    return name


def _budgets(typed: tuple[str, ...], listed: Catalogue) -> dict[str, int]:
    names = {metric.name for metric in listed.metrics}
    budgets = {}
    for one in typed:
        name, _, number = one.partition("=")
        if name not in names:
            raise ValueError(f"--budget {one}: {name or 'nothing'} is not in snippets/metrics.yml")
        if not number.isascii() or not number.isdigit():
            raise ValueError(f"--budget {one}: {number!r} is no number of series\n  hint: --budget {name}=100")
        budgets[name] = int(number)
    return budgets
