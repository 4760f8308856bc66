"""One bash per page: state lives on, failures do not hide, nothing outlives the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.pages.session import Ran, Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    one = Session(tmp_path, {"PATH": "/usr/bin:/bin"})
    yield one
    one.close()


def run(session: Session, source: str, timeout: float = 10, subshell: bool = False) -> Ran:
    return session.run(source + "\n", "docs/page.md", 41, timeout, subshell)


def test_state_lives_on(session: Session) -> None:
    run(session, "x=1; cd /; f() { echo f$x; }")
    assert run(session, "f; pwd").output == "f1\n/\n"


def test_output_and_error_come_in_order(session: Session) -> None:
    assert run(session, "echo a; echo b >&2; echo c").output == "a\nb\nc\n"


def test_messages_carry_page_and_line(session: Session) -> None:
    assert run(session, "true\nnosuch").output == "docs/page.md: line 42: nosuch: command not found\n"


@pytest.mark.parametrize("source", ["false; true", "false | true", 'echo "$UNSET"', "exit 7", "if true; then"])
def test_failures_end_the_session(session: Session, source: str) -> None:
    ran = run(session, source)
    assert ran.status != 0
    assert not ran.alive


def test_declared_exit_leaves_the_session_alive(session: Session) -> None:
    assert run(session, "exit 7", subshell=True).status == 7
    assert run(session, "echo alive").output == "alive\n"


def test_each_block_begins_strict(session: Session) -> None:
    run(session, "set +euo pipefail")
    assert run(session, "false; true").status == 1


def test_time_limit(session: Session) -> None:
    ran = run(session, "echo early; sleep 60", timeout=0.3)
    assert (ran.status, ran.output, ran.alive) == (124, "early\n", False)


def test_background_process_does_not_hold_a_block(session: Session) -> None:
    assert run(session, "sleep 60 & echo started").seconds < 5


def test_standard_input_is_empty(session: Session) -> None:
    assert run(session, "cat; echo end").output == "end\n"


def test_much_output_does_not_block(session: Session) -> None:
    assert len(run(session, "head -c 3000000 /dev/zero | tr '\\0' x").output) == 1_000_000
