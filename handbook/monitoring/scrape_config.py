"""Prometheus' own configuration: promtool's judgement, and whether it and the alerts speak of the same things.

promtool passes a `rule_files` that matches nothing, an alert on a job that nobody scrapes, and an alert before a limit
that is not the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser

from handbook import document, tool
from handbook.document import Document, Unreadable
from handbook.monitoring import promql
from handbook.monitoring.rules import Rule
from handbook.problem import Problem

NEAR_LIMIT = "NodeSeriesNearLimit"
SHARE = 0.8
"""Of `sample_limit`, at which NEAR_LIMIT warns."""
SLOW = "NodeScrapeSlow"


def check_scrape(file: Path, rules: tuple[Rule, ...]) -> list[Problem]:
    """`rules` are those that the configuration loads."""
    try:
        found = document.read_members(file, scrape_configs=list, rule_files=list)
        said = tool.run("promtool", "check", "config", "--lint-fatal", file.name, directory=file.absolute().parent)
    except Unreadable as error:
        return [error.problem]
    except tool.MissingTool as missing:
        return [missing.problem]
    problems = _rule_files(found, file)
    if said.status and not problems:
        problems.append(Problem(found.path, f"promtool rejects it: {' '.join(said.output.split())}"))
    jobs = {job.get("job_name"): job for job in found.data["scrape_configs"] if isinstance(job, dict)}
    return problems + _jobs(rules, jobs) + _limits(found, rules, jobs)


def _rule_files(found: Document, file: Path) -> list[Problem]:
    return [
        Problem(found.where("rule_files", position), f"rule_files: no file matches {pattern}")
        for position, pattern in enumerate(found.data["rule_files"])
        if not list(file.absolute().parent.glob(str(pattern)))
    ]


def _jobs(rules: tuple[Rule, ...], jobs: dict[Any, Any]) -> list[Problem]:
    return [
        Problem(rule.expr_where, f'{rule.name}: nothing is scraped as job="{job}"', f"jobs: {', '.join(sorted(jobs))}")
        for rule in rules
        for job in dict.fromkeys(_named_jobs(rule))
        if job not in jobs
    ]


def _named_jobs(rule: Rule) -> Iterator[str]:
    for selector in promql.selectors(rule.expr):
        for matcher in selector.matchers.matchers:
            if matcher.name == "job" and matcher.op == promql_parser.MatchOp.Equal:
                yield matcher.value


def _limits(found: Document, rules: tuple[Rule, ...], jobs: dict[Any, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for rule in rules:
        if rule.name not in (NEAR_LIMIT, SLOW):
            continue
        job = next(_named_jobs(rule), None)
        config, threshold = jobs.get(job), promql.threshold(rule.expr)
        if config is None or threshold is None:
            problems.append(Problem(rule.expr_where, f"{rule.name}: expected one job and one number to compare with"))
        elif rule.name == NEAR_LIMIT:
            limit = config.get("sample_limit", 0)
            if threshold != SHARE * limit:
                message = f"{rule.name} warns at {threshold:g}, and sample_limit of {job} is {limit}"
                problems.append(Problem(rule.expr_where, message, f"{SHARE:.0%} of it is {SHARE * limit:g}"))
        elif threshold >= (timeout := _timeout(found, config)):
            message = f"{rule.name} warns at {threshold:g} s, and a scrape of {job} ends at {timeout:g} s"
            problems.append(Problem(rule.expr_where, message, "a scrape that was given up took no longer than that"))
    return problems


def _timeout(found: Document, job: dict[str, Any]) -> float:
    """In seconds; 10 is Prometheus' own default."""
    text = job.get("scrape_timeout") or (found.data.get("global") or {}).get("scrape_timeout") or "10s"
    return float(promql_parser.parse_duration(str(text)).total_seconds())
