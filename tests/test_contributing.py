"""The recipe for a metric in CONTRIBUTING.md, walked in a copy: at each step the checks name what is still missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_process import NodeProcess

from handbook import facts
from handbook.monitoring import catalogue
from handbook.pages.page import read_page

RECIPE = [block for block in read_page(facts.ROOT / "CONTRIBUTING.md").blocks if block.id.startswith("adding-new-metr")]
(ENTRY,) = (block.text for block in RECIPE if block.lang == "yaml")
(FAMILY,) = (block.text for block in RECIPE if block.lang == "python")
NAME = "treasury_queue_wait_seconds"
RECORDED = "treasury:queue_wait:p95"
QUANTILE = f"histogram_quantile(0.95, sum by (job, instance, le) (rate({NAME}_bucket[5m])))"
AT = '{job="the-block-node", instance="127.0.0.1:9898"'


LISTED = catalogue.load().metrics


class Copy:
    """A checkout of its own, to write in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("docs", "runbooks", "monitoring", "snippets", "handbook", "tests"):
            shutil.copytree(facts.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (*facts.ROOT.glob("*.md"), *facts.ROOT.glob("*.sh"), facts.ROOT / "pyproject.toml"):
            shutil.copy(file, root)
        self.env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *arguments: str, module: str = "handbook") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=self.root, env=self.env, timeout=900, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout

    def missing(self) -> list[str]:
        """What the check still names: path and message, without line and hint."""
        status, said = self.run("check", "--monitoring")
        found = re.findall(r"^(?:Error: )?(\S+?):(?:\d+:)? (.+)$", said, re.M)
        problems = [f"{path}: {message}" for path, message in found if not path.startswith(("http", "hint"))]
        assert status == bool(problems), said
        return problems

    def append(self, path: str, text: str) -> None:
        with (self.root / path).open("a") as file:
            file.write(text)

    def replace(self, path: str, before: str, after: str) -> None:
        file = self.root / path
        assert before in file.read_text(), before
        file.write_text(file.read_text().replace(before, after, 1))

    def raise_(self, path: str, number: str) -> None:
        """By one the number that the pattern's group finds."""
        text = (self.root / path).read_text()
        found = re.search(number, text)
        assert found, number
        (self.root / path).write_text(f"{text[: found.start(1)]}{int(found[1]) + 1}{text[found.end(1) :]}")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    yield Copy(tmp_path_factory.mktemp("copy"))


METRICS, FAMILIES = "snippets/metrics.yml", "handbook/node/families.py"
DASHBOARD, RULES, TESTS = (
    f"monitoring/{name}"
    for name in ("grafana_treasury_dashboard.json", "prometheus_recording_rules.yml", "rules_test.yml")
)
NUMBERS = {
    "tests/test_monitoring_catalogue.py": [r'"node": (\d+)'],
    "tests/test_monitoring_rules.py": [r"for rule in loaded\)\] == \[(\d+), "],
    "tests/test_monitoring_dashboards.py": [r'\("treasury", (\d+)\)', r"for one in loaded\] == \[(\d+), "],
}
"""What holds how many there are: metrics, recorded series, panels and queries."""
NO_FAMILY = f"{METRICS}: {NAME} has no family in the mock"
NO_PANEL = f"{METRICS}: {NAME} is on no panel"
NO_PAGE = f"{METRICS}: {NAME} is on no page"


def test_a_newcomer_is_told_at_each_step_what_is_missing_until_nothing_is(copy: Copy, tmp_path: Path) -> None:
    # CONTRIBUTING.md itself names the metric of its example: here it is as if it named another.
    copy.replace("CONTRIBUTING.md", FAMILY, "")
    (copy.root / "CONTRIBUTING.md").write_text((copy.root / "CONTRIBUTING.md").read_text().replace(NAME, "x"))

    # 3: an entry with a member too few
    listed = (copy.root / METRICS).read_text()
    copy.append(METRICS, "\n" + ENTRY.replace("  appears: first event\n", ""))
    assert copy.missing() == [f"{METRICS}: $[{len(LISTED)}]: 'appears' is a required property"]

    # 2: a name that breaks three rules, and a rule that misspells it
    record = f"      - record: {RECORDED}\n        expr: {QUANTILE}\n\n"
    next_group = "  - name: governance_recordings\n"
    (copy.root / METRICS).write_text(listed + "\n" + ENTRY.replace(NAME, "queue_wait"))
    copy.replace(RULES, next_group, record + next_group)
    said = copy.missing()
    assert [one.split(" breaks the rule ")[1].split(":")[0] for one in said if "breaks" in one] == [
        "system",
        "subsystem",
        "unit",
    ]
    assert [one for one in said if RULES in one] == [
        f"{RULES}: {RECORDED}: unknown series {NAME}_bucket",
        f"{RULES}: {RECORDED}: no test expects it",
    ]

    # 3 again: the name mended, without its family in the mock
    (copy.root / METRICS).write_text(listed + "\n" + ENTRY)
    assert copy.missing() == [f"{RULES}: {RECORDED}: no test expects it", NO_FAMILY, NO_PANEL, NO_PAGE]
    family = FAMILY[FAMILY.index("Family(") :].rstrip()
    copy.replace(FAMILIES, "\n)\n\nFAMILIES = {", "\n    " + family.replace("\n", "\n    ") + ",\n)\n\nFAMILIES = {")

    # 5: the rule's test; 4: a copied panel, with what can be forgotten
    copy.replace(TESTS, "tests:\n", "tests:\n" + proof())
    board = json.loads((copy.root / DASHBOARD).read_text())
    panel = next(json.loads(json.dumps(one)) for one in board["panels"] if one["id"] == 107)
    panel |= {"id": 1, "title": "Wait in Queued (p95)"}
    del panel["fieldConfig"]["defaults"]["unit"]
    panel["targets"][0]["expr"] = RECORDED
    write(copy, board, panel)
    assert copy.missing() == [
        f"{DASHBOARD}: panel id 1 is outside 100 to 199",
        f"{DASHBOARD}: panel 1 overlaps panel 107",
        f"{DASHBOARD}: panel 1: no unit",
        NO_PAGE,
    ]
    panel["fieldConfig"]["defaults"]["unit"] = "s"
    panel["gridPos"]["y"] = 1000
    write(copy, board, panel)
    status, renumbered = copy.run("dashboards", "renumber", DASHBOARD, "--from", "100")
    assert (status, "1 panels renumbered" in renumbered) == (0, True)

    # 5: what it is for
    copy.append("docs/operations.md", f"\n| How long do they queue? | `{NAME}` | |\n")
    assert copy.missing() == []

    # 6: a mock that knows it, and the tests that hold the numbers
    with NodeProcess(tmp_path, env=copy.env) as node:
        status, covered = copy.run("metrics", "--url", node.metrics)
        assert (status, f"not yet          0/9  {NAME}\n" in covered) == (0, True), covered
    for path, numbers in NUMBERS.items():
        status, failed = copy.run("-q", "-p", "no:cacheprovider", path, "-k", "there_are", module="pytest")
        assert (status, path in failed) == (1, True)
        for number in numbers:
            copy.raise_(path, number)
    copy.replace("tests/test_monitoring_catalogue.py", "assert bounds == {", f'assert bounds == {{"{NAME}": 86400, ')
    chosen = [
        "-q",
        "-p",
        "no:cacheprovider",
        *NUMBERS,
        "tests/test_node_metrics.py",
        "-k",
        "there_are or table or every",
    ]
    status, last = copy.run(*chosen, module="pytest")
    assert status == 0, last


def proof() -> str:
    """A unit test of the recorded series, as those beside it: silent one evaluation earlier."""
    series = "".join(
        f"      - series: '{NAME}_bucket{AT}, le=\"{le}\"}}'\n        values: 0x9 {step}x30\n"
        for le, step in (("60", 0), ("300", 4), ("+Inf", 4))
    )
    return (
        "  - name: wait in Queued\n    interval: 30s\n    input_series:\n" + series + "    promql_expr_test:\n"
        f"      - expr: {RECORDED} > 0\n        eval_time: 4m30s\n"
        f"      - expr: {RECORDED} > 0\n        eval_time: 5m\n        exp_samples:\n"
        f"          - labels: '{RECORDED}{AT}}}'\n            value: 288\n\n"
    )


def write(copy: Copy, board: dict[str, Any], panel: dict[str, Any]) -> None:
    changed = board | {"panels": [*board["panels"], panel]}
    (copy.root / DASHBOARD).write_text(json.dumps(changed, indent=2))
