"""Names that do not exist: each is found where it stands, with the name that was meant, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from handbook import facts
from handbook.pages import mentions, names, vocabulary
from handbook.pages.mentions import Mention
from handbook.pages.names import Line
from handbook.pages.page import read_page

CASES = Path(__file__).parent / "cases" / "names"
KNOWN = vocabulary.load()
UNKNOWN = """
6 method gov.treasury.balanc -> gov.treasury.balance
6 method gov_propos -> gov_propose
6 method gov.treasury.histroy -> gov.treasury.balance_history
7 metric treasury_disbursement_lag_secnds_bucket -> treasury_disbursement_lag_seconds_bucket
7 metric treasury_blance -> treasury_balance
7 metric treasury_exector_* -> treasury_executor_result_total
8 variable TB_RPC_TOKENS_PER_SECOND -> TB_RPC_TOKENS_PER_SEC
8 variable TB_RPX_* -> None
8 port 3033 -> 3031
12 flag --treasury-excutor -> --treasury-executor
12 flag --data-directory of node run -> --data-dir
13 command contract-cli gov treasury fetsh -> contract-cli gov treasury fetch
16 method gov.treasury.dispursement -> gov.treasury.disbursement
18 flag --rpc-adress of handbook node -> --rpc-addr
18 port 3032 -> 3031
19 command handbook verfy -> handbook verify
21 flag --stat of contract-cli gov treasury list -> --state
22 flag --treasury-balanc of handbook node -> --treasury-balance
25 metric treasury_executor_result_totl_total -> treasury_executor_result_total
26 method mock.fault.ad -> mock.fault.add
30 method gov.treasury.submit -> gov.treasury.submit_disbursement
30 method energy.setle -> energy.settle
34 metric energy_readings_count -> energy_readings_total
34 metric treasury:nothing:recorded -> None
38 port 9899 -> 9898
39 variable TB_FAST_MIN -> TB_FAST_MINE
"""


def short(problem: str) -> str:
    """`page:7: unknown metric 'x'` with its hint as `7 metric x -> y`."""
    found = re.fullmatch(
        r".*:(\d+): unknown (\w+) '(.+?)'( of .+)?\n  hint: (?:(.+)\? )?\w+s are listed in .+", problem
    )
    return f"{found[1]} {found[2]} {found[3]}{found[4] or ''} -> {found[5]}" if found else problem


def test_every_kind_is_found_where_it_stands_with_what_was_meant() -> None:
    found, counts = mentions.check(read_page(CASES / "unknown.md"), KNOWN)
    expected = UNKNOWN.strip().splitlines()
    stale = "tests/cases/names/unknown.md:1: invents 'never_said_total', which is nowhere on the page"
    assert sorted(map(short, found)) == sorted([*expected, stale])
    assert {line.split()[1] for line in expected} == set(vocabulary.KINDS) == set(counts)


def test_the_hint_names_the_fact_file() -> None:
    found, _ = mentions.check(read_page(CASES / "unknown.md"), KNOWN)
    assert (
        "tests/cases/names/unknown.md:7: unknown metric 'treasury_blance'"
        "\n  hint: treasury_balance? metrics are listed in snippets/metrics.yml"
    ) in found


def test_no_page_names_what_does_not_exist_and_every_kind_is_looked_at() -> None:
    counts = Counter[str]()
    for file in names.pages():
        found, looked = mentions.check(read_page(file), KNOWN)
        assert found == []
        counts += looked
    least = {"method": 300, "flag": 90, "command": 60, "port": 60, "metric": 50, "variable": 20}
    assert {kind: counts[kind] for kind in least if counts[kind] < least[kind]} == {}
    assert mentions.idle(counts) == []


def test_a_kind_that_no_page_names_is_a_broken_search() -> None:
    counts = Counter({kind: 1 for kind in vocabulary.KINDS if kind != "port"})
    assert mentions.idle(counts) == ["handbook/pages/mentions.py: no page names a port: is the search broken?"]


@pytest.mark.parametrize("kind", vocabulary.KINDS)
def test_a_letter_too_many_is_found_in_every_name_that_a_page_uses(kind: str) -> None:
    """Each name that is used is spelt wrong, in a line of its own, as it stood."""
    used = {
        mention
        for file in names.pages()
        for mention in mentions.mentions(read_page(file), KNOWN)
        if mention.kind == kind and "*" not in mention.name
    }
    spelt = {"command": "`{} {}`", "flag": "`{}`", "port": "port {}", "variable": "{}"}
    for mention in used:
        name = mention.name
        wrong = f"{name}7" if kind == "port" else name[:-2] + ("ZQ" if kind == "variable" else "zq") + name[-2:]
        text = spelt.get(kind, "`{}`").format(*([wrong, ""] if kind == "command" else [wrong]))
        if kind == "method" and not ("." in name or name.startswith("gov_")):
            text = f"`rpc {wrong}`"
        found = list(mentions.found_in([Line(1, text.replace(" `", "`"), False)], KNOWN))
        assert Mention(1, kind, wrong) in [Mention(m.line, m.kind, m.name) for m in found], text
        assert not any(mentions.exists(m, KNOWN) for m in found if m.name == wrong), text
    assert len(used) >= 5


def test_variables_that_the_mock_reads_are_known() -> None:
    read = set()
    for file in (facts.ROOT / "handbook").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                read |= set(re.findall(r"\bTB_[A-Z_]*[A-Z]\b", node.value))
    assert read - {"TB_RPC_ENERGY"} <= KNOWN.variables | {"TB_"} and len(read) >= 4


def test_the_flags_of_the_mock_that_the_node_has_too_are_the_nodes() -> None:
    ours, theirs = KNOWN.commands["handbook node"], KNOWN.commands["node run"]
    assert ours - theirs == {"--control-addr", "--treasury-balance", "--clock", "--build", "--keep-all"}
    assert len(ours & theirs) == 8
