"""Each method has one section, with everything in it, and what stands there runs as it is copied from the site."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from test_site import site  # noqa: F401  # the fixture

from handbook import facts
from handbook.macros import calls, draw, members
from handbook.pages import sections
from handbook.pages.page import Page, read_page
from handbook.rpc import cases, errors, reference
from handbook.rpc.starts import TOKENS, Started

SECTION = re.compile(r'<div class="rpc-method" data-effect="(\w+)" data-method="([\w.]+)" data-role="(\w+)">')
PAGES = (sections.TREASURY, sections.ENERGY, sections.GOVERNANCE)


def page_with(directory: Path, *halves: str) -> Page:
    (directory / "page.md").write_text("# Page\n\n" + "\n\n".join(f"{{{{ {half} }}}}" for half in halves) + "\n")
    return read_page(directory / "page.md")


# What the checks catch ----------------------------------------------------------------------------------------------

HEAD, BODY = 'method_head("gov_list")', 'method_body("gov_list")'


@pytest.mark.parametrize(
    ("halves", "problem"),
    [
        ((HEAD,), "page.md:3: the section of gov_list is not closed"),
        ((HEAD, HEAD.replace("list", "vote"), BODY.replace("list", "vote")), "page.md:3: the section of gov_list is"),
        (
            (HEAD, BODY, HEAD.replace('"gov_list"', '"gov_list", 3'), BODY),
            "page.md:7: a second heading with the id 'gov_list'",
        ),
        ((BODY,), "page.md:3: method_body('gov_list') without a method_head"),
        ((HEAD, BODY.replace("list", "vote")), "page.md:5: method_body('gov_vote') without a method_head"),
        ((HEAD, BODY), "page.md:3: the section of gov_list belongs to docs/GOVERNANCE_RPC_ENDPOINTS.md"),
    ],
)
def test_a_section_that_is_wrong_is_named(tmp_path: Path, halves: tuple[str, ...], problem: str) -> None:
    try:
        found = [str(one) for one in sections.check([page_with(tmp_path, *halves)])[0]]
    except Exception as error:  # two headings with one id
        found = [str(error)]
    assert any(one.startswith(problem) for one in found), found[:3]


def test_a_method_without_a_section_is_named(tmp_path: Path) -> None:
    found, count = sections.check([page_with(tmp_path, HEAD, BODY)])
    assert count == 1
    assert len([one for one in found if "no section of" in str(one)]) == 50
    assert any(str(one).startswith("docs/ENERGY_RPC_ENDPOINTS.md: no section of energy.settle\n") for one in found)


def test_advice_that_is_missing_or_of_no_use_is_named(tmp_path: Path) -> None:
    entries = errors.PATH.read_text()
    cut = entries[: entries.index("- code: -33020")].replace("message: banned", "message: banished")
    (tmp_path / "errors.yml").write_text(
        cut.replace("    energy.submit_reading:\n", "    energy.credits:\n")
        + "- {code: 1, message: x, meaning: x, do: x}\n"
    )
    found, count = errors.check(tmp_path / "errors.yml")
    told = "\n".join(map(str, found))
    assert count == 58
    assert re.search(r"errors\.yml:\d+: -32002 banished: no method declares it", told)
    assert re.search(r"errors\.yml:\d+: 1 x: no method declares it", told)
    assert re.search(r"errors\.yml:\d+: -33006 .*: energy.credits does not declare it", told)
    assert told.count("no entry for -33020") == 6
    assert told.count("no entry for") == 7


def test_every_error_is_explained_and_shown_by_a_call() -> None:
    declared = errors.declared()
    assert len(declared) == 63
    silent = [
        (one.code, one.message, method)
        for one in declared
        for method in one.methods
        if method not in one.uncaused and errors.causes(one.code, one.message, method) is None
    ]
    assert silent == []


# What is drawn ------------------------------------------------------------------------------------------------------


def test_params_and_results_are_listed_with_what_is_inside_them() -> None:
    drawn = draw('method_body("gov.treasury.submit_disbursement")')
    assert "| `payload.disbursement.amount` | u64 |" in drawn
    assert "| `payload.disbursement.expected_receipts[].account` | string |" in drawn
    rows = {row.name: row for row in members.rows("", {"$ref": f"{facts.SITE_URL}schemas/energy-receipts.json"})}
    assert rows["receipts[].meter_hash"].type == "string"
    assert (rows["page_size"].type, rows["page_size"].limits) == ("integer", "1 to 250")
    units = {name: row.unit for name, row in rows.items()}
    assert (units["receipts[].price_paid"], units["receipts[].kwh_delivered"]) == ("BLOCK", "kWh")
    assert rows["receipts[].price_paid"].meaning == "Nobody is charged"
    listed = draw('method_body("gov.treasury.disbursements")')
    assert "moved into 1 to 200" in listed
    assert "one of `Draft`, `Voting`" in listed
    assert "list of [disbursement entry](TREASURY_RPC_ENDPOINTS.md#entry)" in listed


def test_a_quote_in_a_request_does_not_end_the_command() -> None:
    case = cases.load()["gov_list"][0]
    odd = {**case.request, "params": {"note": 'it\'s "so"'}}
    command = calls.curl(type(case)(**{**case.__dict__, "request": odd, "token": None}))
    echo = command.replace("curl -sS", "printf '%s\\n'").replace("| jq .", "")
    printed = subprocess.run(["bash", "-c", echo], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed[printed.index("{") :]) == odd


# What a reader gets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    effect: str
    role: str
    html: str

    def copied(self, language: str) -> str:
        """The first block of a language, as the copy button takes it."""
        found = re.search(rf'<div class="language-{language}[^"]*highlight[^"]*"[^>]*>(.*?)</pre>', self.html, re.S)
        assert found, f"no {language} block"
        return unescape(re.sub(r"<[^>]+>", "", found[1].partition("<code>")[2]))


@pytest.fixture(scope="module")
def shown(site: Path) -> dict[str, Section]:  # noqa: F811
    """The sections of the built site, by method."""
    found: dict[str, Section] = {}
    for page in PAGES:
        html = (site / page.removesuffix(".md") / "index.html").read_text()
        parts = re.split(r'(?=<div class="rpc-method")', html)[1:]
        for part in parts:
            data = {name: value for name, value in re.findall(r'data-(\w+)="([\w.]+)"', part[: part.index(">")])}
            assert data["method"] not in found
            found[data["method"]] = Section(data["effect"], data["role"], part)
    return found


def test_every_method_is_shown_once_with_its_request_for_the_console(shown: dict[str, Section]) -> None:
    assert shown.keys() == reference.methods().keys()
    for name, method in reference.methods().items():
        section = shown[name]
        assert (section.effect, section.role) == (method["x-effect"], method["x-role"])
        request = re.search(r'<div class="language-json[^"]*\brequest\b[^"]*".*?<code>(.*?)</code>', section.html, re.S)
        assert request, name
        assert json.loads(unescape(re.sub(r"<[^>]+>", "", request[1]))) == cases.load()[name][0].request


@pytest.mark.parametrize("method", ["consensus.difficulty", "gov.treasury.balance", "gov_list"])
def test_what_is_copied_from_the_site_runs_and_prints_what_stands_there(
    shown: dict[str, Section], method: str, tmp_path: Path
) -> None:
    case = cases.load()[method][0]
    assert not case.before
    with Started(case.node) as node:
        node.control.call("mock.reset", cases.FRESH)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {"PATH": path, "NODE": node.caller.url} | {f"{role.upper()}_TOKEN": t for role, t in TOKENS.items()}
        for command in (["bash", "-c", shown[method].copied("bash")], ["python", "-c", shown[method].copied("python")]):
            done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert json.loads(done.stdout) == case.answer
