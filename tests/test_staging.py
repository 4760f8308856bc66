"""A block that names a case finds its node, stands alone, and must get its answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.pages.page import read_page
from handbook.pages.runner import PageRun, Verdict
from handbook.pages.staging import Staging
from handbook.target import Addresses, Target

CASE = "gov.treasury.disbursement/an-unknown-id-is-not-found"
CURL = """curl -sS "$NODE" --data-binary '{"id": 1, "method": "%s", "params": %s}' | jq ."""
FENCE = "```{%s}\n%s\n```\n"


@pytest.fixture(scope="module")
def staging() -> Iterator[Staging]:
    one = Staging()
    yield one
    one.close()


@pytest.fixture
def verdicts(tmp_path: Path, staging: Staging, mock: Target) -> object:
    def run(*fences: tuple[str, str], target: Target = mock) -> list[Verdict]:
        (tmp_path / "page.md").write_text("# Page\n\n" + "\n".join(FENCE % fence for fence in fences))
        page = read_page(tmp_path / "page.md")
        run = PageRun(page, target, staging=staging)
        found = [run.verdict(block) for block in page.blocks]
        run.close()
        return found

    return run


def test_blocks_of_a_case_pass_in_any_order_and_alone(verdicts) -> None:  # type: ignore[no-untyped-def]
    good = CURL % ("gov.treasury.disbursement", '{"id": 999999999}')
    python = "import os, httpx\nprint(httpx.post(os.environ[\"NODE\"], content=b'%s').text)"
    body = '{"id": 1, "method": "gov.treasury.disbursement", "params": {"id": 999999999}}'
    shown = '{"error": {"code": -32001, "message": "disbursement 999999999 not found"}, "id": 1, "jsonrpc": "2.0"}'
    found = verdicts(
        (f'.bash case="{CASE}"', good),
        (f'.json .output case="{CASE}"', shown),
        (f'.python case="{CASE}"', python % body),
        (f'.bash case="{CASE}"', "name=value\n" + good),
        (f'.bash case="{CASE}"', 'test -z "${name:-}"\n' + good),
    )
    assert [(one.outcome, one.message) for one in found] == [("passed", "")] * 5


@pytest.mark.parametrize(
    ("header", "text", "problem"),
    [
        (f'.bash case="{CASE}"', CURL % ("gov.treasury.disbursement", '{"id": 8}'), "$.error.message: expected"),
        (f'.bash case="{CASE}"', "echo hello", "printed no JSON"),
        (f'.bash case="{CASE}"', "false", "exit status 1, expected 0"),
        (f'.python case="{CASE}"', "raise KeyError(1)", "page.md:4: KeyError: 1"),
        (f'.json .output case="{CASE}"', '{"id": 1, "jsonrpc": "2.0", "result": 1}', "expected error -32001"),
        (f'.json .output case="{CASE}"', '{"id": 1,', "page.md:5: not JSON"),
        (f'.json .request case="{CASE}"', '{"id": 1, "method": "gov_list"}', "not the request of case"),
        (f'.json .request case="{CASE}x"', "{}", f"no case {CASE}x"),
        (f'.bash case="{CASE}x"', "true", f"no case {CASE}x"),
        (
            '.bash .before effect="write" case="gov.treasury.disbursement/a-draft-is-shown-whole"',
            "true",
            "expected a result, got error -32001",
        ),
        (
            '.bash case="gov.treasury.submit_disbursement/a-submission-is-stored-as-a-draft"',
            CURL
            % (
                "gov.treasury.submit_disbursement",
                '{"payload": {"disbursement": {"destination": "tb1q", "amount": 1, "scheduled_epoch": 1}, '
                '"proposal": {"title": "t", "summary": "s"}}}',
            ),
            "declared as a read, but the node changed",
        ),
    ],
)
def test_block_that_breaks_its_case_fails(verdicts, header: str, text: str, problem: str) -> None:  # type: ignore[no-untyped-def]
    (found,) = verdicts((header, text))
    assert found.outcome == "failed"
    assert problem in found.message
    assert found.message.startswith("page.md:")


def test_tokens_are_at_hand_where_the_case_wants_them(verdicts) -> None:  # type: ignore[no-untyped-def]
    case = "gov_list/a-fresh-node-has-no-proposals"
    with_token = (CURL % ("gov_list", "{}")).replace("curl", 'curl -H "Authorization: Bearer $ADMIN_TOKEN"')
    good, bad = verdicts((f'.bash case="{case}"', with_token), (f'.bash case="{case}"', CURL % ("gov_list", "{}")))
    assert (good.outcome, bad.outcome) == ("passed", "failed")


def test_on_a_live_node_they_are_excused_with_that_reason(verdicts) -> None:  # type: ignore[no-untyped-def]
    live = Target(Addresses("http://127.0.0.1:9"), "live node", is_mock=False)
    (found,) = verdicts((f'.bash case="{CASE}"', "false"), target=live)
    assert (found.outcome, found.message) == ("excused", "runs on a mock node in the state that its case names")
