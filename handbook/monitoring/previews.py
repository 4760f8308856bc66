"""`handbook dashboards preview`: both dashboards asked of a Prometheus, checked and drawn."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from handbook import document, facts, pictures
from handbook.monitoring import dashboards, panels, rules, shift
from handbook.monitoring import preview as picture
from handbook.monitoring.panels import Shown
from handbook.monitoring.query_api import QueryApi
from handbook.problem import Problem
from handbook.tuning import history

MONITORING = facts.ROOT / "monitoring"
BOARDS = [MONITORING / "grafana_treasury_dashboard.json", MONITORING / "grafana_energy_dashboard.json"]
RECORDED = MONITORING / "prometheus_recording_rules.yml"
POINTS = 180
"""Of a line over the whole window."""
NOTE = "Six hours of a mock node at work, in UTC. Not a real node, and not a screenshot of Grafana."


@dataclass
class Drawn:
    shown: list[Shown] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    excused: int = 0

    def summary(self) -> str:
        queries = sum(one.queries for one in self.shown)
        empty = sum(len(one.empty) for one in self.shown)
        told = [
            f"{len(self.shown)} panels, {queries} queries: {queries - empty} return data, {empty} do not",
            f"{self.excused} panels excused in {document.shown(panels.EXCUSED)}",
            f"{len(self.files)} pictures in {document.shown(self.files[0].parent)}",
        ]
        return "\n".join(told)


def preview(api: QueryApi | None, window: float, to: Path | None) -> Drawn:
    """Without `api`, of the mock's shift: then a query without data is a problem, unless its panel is excused.

    Raises QueryFailed, MissingTool, FileNotFoundError, Unreadable.
    """
    folder = to or pictures.HOME / "dashboards"
    if api:
        end = time.time()
        return draw_both(api, end - window, end, folder, f"From {api.url}, in UTC.", {})
    excuses = panels.excused()
    with at_work() as past:
        drawn = draw_both(past.api, past.start, past.end, folder, NOTE, excuses)
    drawn.problems += panels.check_data(drawn.shown, excuses)
    drawn.excused = len(excuses)
    return drawn


@contextmanager
def at_work() -> Iterator[history.History]:
    """A Prometheus that holds the mock's shift, with every recorded series."""
    with tempfile.TemporaryDirectory(prefix="handbook-shift-") as scratch:
        samples = Path(scratch) / "shift.om"
        shift.write(samples, Path(scratch))
        past = history.History(samples, rules.load_rules(RECORDED), shift.START, shift.end())
    try:
        yield past
    finally:
        past.stop()


def draw_both(api: QueryApi, start: float, end: float, folder: Path, note: str, excuses: dict[str, str]) -> Drawn:
    drawn = Drawn()
    for file in BOARDS:
        board = dashboards.load_dashboard(file)
        shown = panels.ask(api, board, start, end, (end - start) / POINTS)
        drawn.shown += shown
        drawn.files += picture.draw(picture.Sheet(board, shown, start, end, note, excuses), folder)
    pictures.stamp(folder)
    return drawn
