"""Break one thing, and the run goes red: on a page, in a field of the node, in a rule of monitoring.

The default run breaks one page; `--long` breaks every page at every output block. Every comparison of every rule is
broken in each run.
"""

from __future__ import annotations

import copy
import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from handbook import facts, tool
from handbook.monitoring import rule_slices, rules
from handbook.pages.page import Block, Page, read_page
from handbook.pages.runner import PageRun, Verdict
from handbook.target import Addresses, MockProcess, Target, running_mock

REFERENCE = facts.ROOT / "docs" / "TREASURY_RPC_ENDPOINTS.md"


def judge(page: Page, target: Target) -> list[Verdict]:
    run = PageRun(page, target)
    try:
        return [run.verdict(block) for block in page.blocks if not block.macro]
    finally:
        run.close()


def broken(page: Page, block: Block, old: str, new: str, directory: Path) -> Page:
    """A copy of the page in which the first `old` inside the block reads `new`."""
    lines = list(page.lines)
    for number in range(block.line, block.end - 1):
        if re.search(old, lines[number]):
            lines[number] = re.sub(old, new, lines[number], count=1)
            break
    else:
        raise AssertionError(f"{block.where} holds no {old}")
    file = directory / page.file.name
    file.write_text("\n".join(lines) + "\n")
    return read_page(file)


def first(page: Page, lang: str, pattern: str, output: bool = False) -> Block:
    written = {b.id: "\n".join(page.lines[b.line : b.end - 1]) for b in page.blocks}  # includes are not the page's own
    return next(
        b for b in page.blocks if b.lang == lang and b.is_output == output and re.search(pattern, written[b.id])
    )


@pytest.mark.parametrize(
    ("what", "lang", "output", "old", "new"),
    [
        ("a digit", "json", True, r"(\d)(?=[,}\s])", "987"),
        ("a JSON key", "json", True, r'"(\w+)":', r'"\1x":'),
        ("a method name", "bash", False, r"gov\.treasury\.\w+", "gov.treasury.nonsense"),
        ("a command", "bash", False, r"\bcurl\b", "crul"),
    ],
)
def test_one_change_on_the_page_is_caught(
    what: str, lang: str, output: bool, old: str, new: str, tmp_path: Path, mock: Target
) -> None:
    page = read_page(REFERENCE)
    block = first(page, lang, old, output)
    failed = [v for v in judge(broken(page, block, old, new, tmp_path), mock) if v.outcome == "failed"]
    assert failed, f"{what} at {block.where} was changed and nothing failed"
    assert failed[0].message.startswith(f"{REFERENCE.name}:")
    assert block.line <= failed[0].block.line <= block.end + 40


@pytest.fixture
def renaming(mock_process: MockProcess) -> Iterator[dict[str, str]]:
    """The mock behind a proxy that renames members of its answers."""
    names: dict[str, str] = {}

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with urllib.request.urlopen(urllib.request.Request(mock_process.addresses.node, body)) as answer:
                said = answer.read()
            for old, new in names.items():
                said = said.replace(f'"{old}":'.encode(), f'"{new}":'.encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """No line per request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names["url"] = f"http://127.0.0.1:{server.server_address[1]}"
    yield names
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("field", ["balance", "created_at", "vote_deadline_epoch", "next_cursor"])
def test_one_renamed_field_of_the_node_is_caught(
    field: str, renaming: dict[str, str], mock_process: MockProcess
) -> None:
    at = mock_process.addresses
    target = running_mock(Addresses(renaming.pop("url"), at.control, at.metrics))
    renaming[field] = f"{field}_x"
    failed = [v for v in judge(read_page(REFERENCE), target) if v.outcome == "failed"]
    target.close()
    assert failed, f"the node renamed {field} and no block noticed"
    assert failed[0].message.startswith(f"docs/{REFERENCE.name}:")


MONITORING = facts.ROOT / "monitoring"
RULE_FILES = ("prometheus_recording_rules.yml", "alert_rules.yml")
RULES = rules.load_rules(*(MONITORING / name for name in RULE_FILES))
COMPARISON = re.compile(r'"[^"]*"|\{[^}]*\}|(?P<op>[=!<>]=|[<>])')
"""What stands in quotes or braces compares no values."""
TURNED = {">": "<", "<": ">", "==": "!="}
WIDENED = {">": ">=", "<": "<="}
NO_EDGE = {
    ("host:filesystem_free:bytes_in_4h", "<"): "a prediction of exactly 0 bytes",
    ("host:data_growth:bytes_per_day", ">"): "a slope of exactly 10e9 bytes a day",
}
"""Edges that the unit tests cannot stand on, because the left side is a regression over an hour."""


def comparisons(rule: rules.Rule) -> list[tuple[int, str]]:
    """Place and operator of each comparison in the rule's expression."""
    return [(found.start(), found["op"]) for found in COMPARISON.finditer(rule.expr) if found["op"]]


GROUPS = [group for name in RULE_FILES for group in rule_slices.load(MONITORING / name)["groups"]]
TESTS = rule_slices.load(MONITORING / "rules_test.yml")


def unit_tests(rule: rules.Rule, expr: str, directory: Path) -> tool.Said:
    """promtool's word on the tests that speak of the rule, or of what rests on it, with `expr` in its place."""
    groups = copy.deepcopy(GROUPS)
    for one in (one for group in groups for one in group["rules"]):
        if rule_slices.rule_name(one) == rule.name:
            one["expr"] = expr
    return rule_slices.run(TESTS, groups, directory, rule_slices.resting_on(GROUPS, rule.name))


COMPARED = [(rule, place, op) for rule in RULES for place, op in comparisons(rule)]
MUTANTS = [
    *((rule, place, op, TURNED[op]) for rule, place, op in COMPARED),
    *(
        (rule, place, op, WIDENED[op])
        for rule, place, op in COMPARED
        if op in WIDENED and (rule.expr[:place].split()[-1].split("{")[0].lstrip("("), op) not in NO_EDGE
    ),
]


def test_every_comparison_of_every_rule_is_counted() -> None:
    assert (len(COMPARED), len(MUTANTS)) == (33, 58)
    compared = {rule.name for rule, _, _ in COMPARED}
    assert {rule.name for rule in RULES if rule.alert} - compared == {"Watchdog"}


@pytest.mark.parametrize(
    ("rule", "place", "old", "new"), MUTANTS, ids=[f"{r.name}-{place}-{old}{new}" for r, place, old, new in MUTANTS]
)
def test_a_changed_comparison_turns_a_unit_test_red(
    rule: rules.Rule, place: int, old: str, new: str, tmp_path: Path
) -> None:
    said = unit_tests(rule, rule.expr[:place] + new + rule.expr[place + len(old) :], tmp_path)
    assert (said.status, "got:" in said.output) == (1, True), said.output


@pytest.mark.long
def test_every_output_of_every_page_is_held_to_its_text(tmp_path: Path, mock: Target) -> None:
    survivors = []
    for file in sorted([*(facts.ROOT / "docs").glob("*.md"), *(facts.ROOT / "runbooks").glob("*.md")]):
        page = read_page(file)
        if page.meta.get("node") == "own":
            continue
        for block in page.blocks:
            if block.is_output and re.search(r"[A-Za-z0-9]", block.text) and block.attrs.get("compare") != "shape":
                changed = broken(page, block, r"([A-Za-z0-9])(?=[^A-Za-z0-9]*$)", "Z9", tmp_path)
                if not [v for v in judge(changed, mock) if v.outcome == "failed"]:
                    survivors.append(block.where)
    assert survivors == []
