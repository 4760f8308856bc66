"""A coverage as text: what fails first, then what is absent and may be, then what is there."""

from __future__ import annotations

import textwrap
from collections import Counter
from itertools import groupby

from handbook.monitoring.metric_coverage import EXPECTED_ABSENT, Coverage, Finding

ORDER = ("MISSING", "WRONG", "OVER", "UNKNOWN", *EXPECTED_ABSENT, "there", "other")
WIDTH = 72


def table(coverage: Coverage) -> list[str]:
    """Lines: verdict, series of budget, name, and notes indented below what fails."""
    findings = sorted(coverage.findings, key=lambda one: (ORDER.index(one.verdict), one.metric))
    lines: list[str] = []
    for verdict, group in groupby(findings, key=lambda one: one.verdict):
        found = list(group)
        if verdict == "other":
            lines += _others(found)
            continue
        for one in found:
            series = f"{one.series}/{one.budget}" if one.budget is not None else str(one.series)
            lines.append(f"{verdict:<12} {series:>7}  {one.metric}")
            lines += [f"{'':<22} {note}" for note in one.notes if one.failed or verdict == "there"]
    return lines + [f"DROPPED: {breach}" for breach in coverage.breaches]


def summary(coverage: Coverage) -> list[str]:
    """Two lines: the metrics; the samples and how many problems there are."""
    counts = Counter(one.verdict for one in coverage.findings)
    failed = sum(one.failed for one in coverage.findings) + len(coverage.breaches)
    absent = sum(counts[verdict] for verdict in EXPECTED_ABSENT)
    limit = f" of {coverage.sample_limit}" if coverage.sample_limit else ""
    problems = f"{failed or 'no'} problem{'' if failed == 1 else 's'}"
    return [
        f"build {coverage.build}: {counts['there']} there, {absent} absent as expected, {counts['other']} others",
        f"{coverage.kept}{limit} samples: {problems}",
    ]


def _others(found: list[Finding]) -> list[str]:
    """Families of systems that the catalogue does not answer for: how many, by first word."""
    systems = Counter(one.metric.split("_")[0] for one in found)
    said = ", ".join(f"{system}~{count}" if count > 1 else system for system, count in sorted(systems.items()))
    text = f"other: {len(found)} families of systems that are not listed: {said}"
    return [line.replace("~", " ") for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]
