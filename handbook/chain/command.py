"""`handbook chain`: the walk of all alerts, said as it goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from handbook import tool
from handbook.chain.fault import Fault
from handbook.chain.faults import FAULTS, WATCHDOG
from handbook.chain.process import NotInTime
from handbook.chain.result import reach, write
from handbook.chain.run import run
from handbook.document import Unreadable


def chosen(names: Iterable[str], also: tuple[str, ...] = ()) -> list[Fault[Any]]:
    """The faults of these alerts, or all. Raises ClickException for a name that is none and not one of `also`."""
    known = {fault.alert: fault for fault in FAULTS}
    for name in names:
        if name not in known and name not in also:
            raise click.ClickException(f"{name}: no fault for it\n  hint: one of {', '.join((*known, *also))}")
    return [known[name] for name in names if name in known] if names else list(FAULTS)


def command(names: Sequence[str]) -> int:
    """Exit status: 0 when every alert reached its people and went again. A walk of all goes to build/chain.json."""
    faults = chosen(names, (WATCHDOG,))
    with tempfile.TemporaryDirectory(prefix="handbook-chain-") as scratch:
        try:
            found = run(Path(scratch), faults=faults, watchdog=not names or WATCHDOG in names, say=click.echo)
        except tool.MissingTool as missing:
            raise click.ClickException(str(missing.problem)) from None
        except (Unreadable, NotInTime, RuntimeError, OSError) as error:
            raise click.ClickException(str(error)) from None
    for problem in found.problems:
        click.echo(f"failed  {problem}", err=True)
    if not names:
        write(found)
    reached, alerts = reach(found)
    click.echo(f"{reached} of {alerts} alerts reached their people and went again, in {found.seconds:.0f} s")
    return 0 if found.passed else 1
