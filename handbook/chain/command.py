"""`handbook chain`: the walk of all alerts, said as it goes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from handbook import tool
from handbook.chain.fault import Fault
from handbook.chain.process import NotInTime
from handbook.chain.result import write
from handbook.chain.run import run
from handbook.document import Unreadable


def command(faults: Sequence[Fault[Any]], *, write_result: bool) -> int:
    """Exit status: 0 when every alert reached its people and went again. The whole walk goes to build/chain.json."""
    with tempfile.TemporaryDirectory(prefix="handbook-chain-") as scratch:
        try:
            found = run(Path(scratch), faults=faults, say=click.echo)
        except tool.MissingTool as missing:
            raise click.ClickException(str(missing.problem)) from None
        except (Unreadable, NotInTime, RuntimeError, OSError) as error:
            raise click.ClickException(str(error)) from None
    for problem in found.problems:
        click.echo(f"failed  {problem}", err=True)
    if write_result:
        write(found)
    reached = sum(not course.problems for course in found.courses)
    click.echo(
        f"{reached} of {len(found.courses)} alerts reached their people and went again, in {found.seconds:.0f} s"
    )
    return 0 if found.passed else 1
