"""`handbook monitor`: nodes, Prometheus, Alertmanager and the recorder, to break and to mend by hand until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click

from handbook import tool
from handbook.chain import config, link
from handbook.chain.command import chosen
from handbook.chain.fault import Fault
from handbook.chain.faults import WATCHDOG
from handbook.chain.ground import Ground
from handbook.chain.process import NotInTime
from handbook.chain.recorder import Message
from handbook.chain.run import alerts
from handbook.chain.stack import Ports
from handbook.control import Refused, Unreachable
from handbook.document import Unreadable

HELP = """\
list           every alert: its fault, and what Prometheus says of it now
break ALERT    put its fault into its node
mend ALERT     take the fault away
all            break and mend one after the other
quit           stop everything, as Ctrl-C does"""
PAUSE = 1.0


class Monitor:
    """What is broken now, and what the words of a line do. `name` may leave out what is not needed to tell it."""

    def __init__(self, ground: Ground, faults: Sequence[Fault[Any]]) -> None:
        self._ground, self._faults = ground, {fault.alert: fault for fault in faults}
        self._broken: set[str] = set()

    def obey(self, line: str) -> str:
        """What to show. Raises EOFError for `quit`."""
        verb, _, rest = line.strip().partition(" ")
        if verb in ("quit", "exit"):
            raise EOFError
        if verb == "list":
            return self.listed()
        if verb == "all":
            return self.all()
        if verb in ("break", "mend"):
            return self._change(verb, rest.strip())
        return HELP if verb in ("help", "") else f"{verb}: no such word\n{HELP}"

    def listed(self) -> str:
        states = {
            (sample["metric"]["alertname"], sample["metric"].get("instance")): sample["metric"]["alertstate"]
            for sample in self._ground.stack.query("ALERTS")
        }
        rows = []
        for name, fault in self._faults.items():
            node = self._ground.lanes[name].instance
            state = states.get((name, node), "silent")
            rows.append(f"{state:8} {'broken' if name in self._broken else '':7} {name:30} {node:16} {fault.what}")
        return "\n".join(rows)

    def all(self) -> str:
        """Each is mended when it fires; Ctrl-C ends it."""
        for name in self._faults:
            click.echo(self._change("break", name))
            key = (name, self._ground.lanes[name].instance)
            while not self._ground.watch.firing(key):
                time.sleep(PAUSE)
            click.echo(self._change("mend", name))
        return "all broken and mended; the last ones clear now"

    def _change(self, verb: str, name: str) -> str:
        fault = self._faults.get(name)
        if fault is None:
            near = [one for one in self._faults if name and name.lower() in one.lower()]
            if len(near) != 1:
                return f"{name or 'no name'}: expected one of {', '.join(near or self._faults)}"
            fault = self._faults[near[0]]
        name = fault.alert
        if (name in self._broken) == (verb == "break"):
            return f"{name} is {'broken already' if verb == 'break' else 'not broken'}"
        lane, made = self._ground.lanes[name], self._ground.made[name]
        try:
            (fault.inject if verb == "break" else fault.mend)(lane, made)
        except (Refused, Unreachable, NotInTime, RuntimeError) as error:
            return f"{name}: {error}"
        if verb == "break":
            self._broken.add(name)
            return f"{name}: {fault.what}, on {lane.instance}"
        self._broken.discard(name)
        return f"{name}: mended on {lane.instance}"


def shown(message: Message) -> str:
    """A line per alert of a webhook; the watchdog's beat and the other kinds are not shown."""
    lines = []
    for status in ("firing", "resolved"):
        for alert in message.alerts(status):
            labels = alert["labels"]
            if labels["alertname"] != WATCHDOG:
                opened = _opened(alert["annotations"].get("runbook_url", ""))
                lines.append(
                    f"{time.strftime('%H:%M:%S')}  {message.receiver:14} {status:8} {labels['alertname']} "
                    f"({labels['severity']}) on {labels.get('instance', 'nothing')}  {opened}"
                )
    return "\n".join(lines)


def monitor(names: Sequence[str], ports: Ports) -> int:
    """Until Ctrl-C, SIGTERM, `quit`, or the end of a standard input that is no terminal and had words in it."""
    faults = chosen(names)
    for name, port in vars(ports).items():
        _free(name, port)
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="handbook-monitor-") as scratch:
        click.echo(f"starting {len(faults) + 2} nodes and hosts, Prometheus and Alertmanager")
        try:
            ground = Ground(Path(scratch), config.MONITORING, faults, ports, _say)
        except tool.MissingTool as missing:
            raise click.ClickException(str(missing.problem)) from None
        except (Unreadable, NotInTime, RuntimeError, OSError) as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            return _stopped()
        try:
            stack = ground.stack
            click.echo(f"Prometheus {stack.url}/alerts  Alertmanager {stack.pager.url}/  (Ctrl-C stops all)")
            click.echo(f"durations are squeezed: 1 h takes 15 s, 5 min 4.3 s; {len(alerts())} alerts\n{HELP}")
            _converse(Monitor(ground, faults))
        except (EOFError, KeyboardInterrupt):
            pass
        finally:
            ground.close()
    return _stopped()


def _converse(known: Monitor) -> None:
    for line in sys.stdin:
        if said := known.obey(line):
            click.echo(said)
    if sys.stdin.isatty():
        raise EOFError
    threading.Event().wait()


def _say(message: Message) -> None:
    if message.kind == "webhook" and (text := shown(message)):
        click.echo(text)


def _opened(url: str) -> str:
    try:
        return link.opens(url)
    except ValueError as error:
        return str(error)


def _free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            hint = f"--{name}-port 0 takes a free one"
            raise click.ClickException(f"127.0.0.1:{port} is in use\n  hint: {hint}") from None


def _stopped() -> int:
    click.echo("stopped")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
