"""A dashboard as Grafana would lay it out, drawn from what a Prometheus returns for its queries.

Grid, titles, units, thresholds, value names and legends are those of the JSON file. It is a picture of the data, not of
Grafana: what its plugins do beyond that is not imitated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from handbook import drawing
from handbook.drawing import Scheme
from handbook.monitoring.dashboards import Dashboard
from handbook.monitoring.panels import Line, Shown
from handbook.monitoring.renumber import panels
from handbook.monitoring.units import shown_as

COLUMN, ROW = 0.46, 0.29
"""Inches of one column and one row of Grafana's grid."""
GAP = 0.05
ROUND_SECONDS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, *(86_400 * n for n in range(1, 400)))
HEAD = 0.62


@dataclass(frozen=True)
class Sheet:
    """What one picture is of: the dashboard, what its panels show from `start` to `end`, where the data are from."""

    dashboard: Dashboard
    shown: list[Shown]
    start: float
    end: float
    note: str
    excuses: dict[str, str]


def draw(sheet: Sheet, folder: Path) -> list[Path]:
    """`UID-light.svg` and `UID-dark.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for scheme in drawing.SCHEMES:
        file = folder / f"{sheet.dashboard.uid}-{scheme.name}.svg"
        with drawing.style(scheme):
            drawing.save(_figure(sheet, scheme), file)
        files.append(file)
    return files


def _figure(sheet: Sheet, scheme: Scheme) -> Figure:
    dashboard = sheet.dashboard
    every = [panel for _, panel in panels(dashboard.data)]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in every)
    width, height = 24 * COLUMN, rows * ROW + HEAD
    figure = Figure(figsize=(width, height), facecolor=scheme.page)
    figure.text(0.1 / width, 1 - 0.2 / height, dashboard.data["title"], fontsize=13, fontweight="bold", va="center")
    figure.text(0.1 / width, 1 - 0.45 / height, sheet.note, fontsize=8, color=scheme.faint, va="center")
    by_id = {one.panel["id"]: one for one in sheet.shown}
    for panel in every:
        grid = panel["gridPos"]
        left, top = grid["x"] * COLUMN, HEAD + grid["y"] * ROW
        box = (
            left + GAP,
            height - top - grid["h"] * ROW + GAP,
            grid["w"] * COLUMN - 2 * GAP,
            grid["h"] * ROW - 2 * GAP,
        )
        if panel["type"] == "row":
            at = (box[0] + 0.05) / width, (box[1] + box[3] / 2) / height
            figure.text(*at, f"▾  {panel['title']}", fontsize=10, fontweight="bold", va="center")
        elif panel["id"] in by_id:
            one = by_id[panel["id"]]
            _card(figure, scheme, panel, box)
            if not any(line.samples for line in one.lines):
                _nothing(figure, scheme, box, sheet.excuses.get(one.id, ""))
            else:
                axes = DRAWN[panel["type"]](figure, scheme, one, box)
                if axes is not None:
                    axes.set_xlim(*(datetime.fromtimestamp(at, UTC) for at in (sheet.start, sheet.end)))  # type: ignore[arg-type]
    return figure


Box = tuple[float, float, float, float]
"""Left, bottom, width and height in inches."""


def _card(figure: Figure, scheme: Scheme, panel: dict[str, Any], box: Box) -> None:
    width, height = figure.get_size_inches()
    shape = FancyBboxPatch(
        (box[0] / width, box[1] / height),
        box[2] / width,
        box[3] / height,
        boxstyle="square,pad=0",
        facecolor=scheme.card,
        edgecolor=scheme.grid,
        linewidth=0.8,
        transform=figure.transFigure,
        zorder=-1,
    )
    figure.add_artist(shape)
    at = (box[0] + 0.1) / width, (box[1] + box[3] - 0.17) / height
    figure.text(*at, _cut(panel["title"], box[2]), fontsize=9, va="center")
    figure.text(
        (box[0] + box[2] - 0.1) / width,
        at[1],
        str(panel["id"]),
        fontsize=7,
        color=scheme.faint,
        va="center",
        ha="right",
    )


def _cut(title: str, inches: float) -> str:
    most = int(inches / 0.083)
    return title if len(title) <= most else f"{title[: most - 1]}…"


def _axes(figure: Figure, box: Box, left: float, bottom: float, right: float = 0.22, top: float = 0.36) -> Axes:
    width, height = figure.get_size_inches()
    inside = (box[0] + left, box[1] + bottom, box[2] - left - right, box[3] - bottom - top)
    return figure.add_axes((inside[0] / width, inside[1] / height, inside[2] / width, inside[3] / height))


def _nothing(figure: Figure, scheme: Scheme, box: Box, why: str) -> None:
    width, height = figure.get_size_inches()
    x, y = (box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height
    figure.text(x, y, "No data", fontsize=11, color=scheme.faint, ha="center", va="center")
    lines = _wrapped(why, int(box[2] / 0.075))
    figure.text(x, y - 0.22 / height, "\n".join(lines), fontsize=7, color=scheme.faint, ha="center", va="top")


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, max(width, 20))


def _timeseries(figure: Figure, scheme: Scheme, one: Shown, box: Box) -> Axes:
    defaults = one.panel["fieldConfig"]["defaults"]
    custom = defaults.get("custom") or {}
    legend = _legend_rows([line.name for line in one.lines], box[2])
    axes = _axes(figure, box, left=0.68, bottom=0.30 + 0.17 * len(legend))
    stacked = (custom.get("stacking") or {}).get("mode") == "normal"
    opacity = float(custom.get("fillOpacity", 0)) / 100
    below: dict[float, float] = {}
    for number, line in enumerate(one.lines):
        color = drawing.SERIES[number % len(drawing.SERIES)]
        times = [datetime.fromtimestamp(at, UTC) for at, _ in line.samples]
        base = [below.get(at, 0.0) if stacked else 0.0 for at, _ in line.samples]
        values = [value + under for (_, value), under in zip(line.samples, base, strict=True)]
        if stacked:
            below.update(zip((at for at, _ in line.samples), values, strict=True))
        pieces = _pieces(times, values, base)
        for when, upper, lower in pieces:
            axes.plot(when, upper, color=color, lw=1.1, marker="." if len(when) == 1 else None, ms=3)
            if opacity:
                axes.fill_between(when, upper, lower, color=color, alpha=opacity, lw=0)
    _scale(axes, defaults, one.lines)
    if (custom.get("thresholdsStyle") or {}).get("mode") in ("line", "dashed", "line+area", "dashed+area"):
        for step in defaults["thresholds"]["steps"]:
            if step.get("value") is not None:
                axes.axhline(step["value"], color=_color(step["color"]), lw=1.2, ls="--")
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=UTC))
    axes.tick_params(axis="x", pad=6)
    _legend(figure, scheme, box, legend, {line.name: number for number, line in reversed(list(enumerate(one.lines)))})
    return axes


def _pieces(times: list[datetime], *values: list[float]) -> list[tuple[Any, ...]]:
    """Runs without a hole: Grafana does not draw over missing samples."""
    runs: list[list[int]] = []
    steps = sorted(b - a for a, b in pairwise(times))
    usual = steps[0] if steps else None
    for number, when in enumerate(times):
        if not runs or (usual and when - times[number - 1] > 1.5 * usual):
            runs.append([])
        runs[-1].append(number)
    columns: tuple[list[Any], ...] = (times, *values)
    return [tuple([column[number] for number in run] for column in columns) for run in runs]


def _scale(axes: Axes, defaults: dict[str, Any], lines: tuple[Line, ...]) -> None:
    low, high = axes.get_ylim()
    finite = [value for line in lines for _, value in line.samples if value == value]
    if finite and min(finite) == max(finite):
        high = max(high, finite[0] * 1.25, 1.0)
    if "min" in defaults:
        low = float(defaults["min"])
    if "max" in defaults:
        high = float(defaults["max"])
    steps = [s["value"] for s in defaults["thresholds"]["steps"] if s.get("value") is not None]
    if steps and (defaults.get("custom") or {}).get("thresholdsStyle", {}).get("mode") == "line":
        high = max(high, min(steps) * 1.1)
    axes.set_ylim(low, high if high > low else low + 1)
    unit = defaults.get("unit", "short")
    axes.yaxis.set_major_locator(_ticks(unit, axes.get_ylim()[1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown_as(value, unit)))


def _ticks(unit: str, high: float) -> Locator:
    """At most five, at round values; of seconds at whole minutes, hours or days once there are several."""
    if unit == "s" and high > 150:
        apart = next(step for step in ROUND_SECONDS if high / step <= 4.5)
        return MultipleLocator(apart)
    return MaxNLocator(nbins=4, min_n_ticks=3)


def _legend_rows(names: list[str], inches: float) -> list[list[str]]:
    """As many names in a row as fit, at most two rows."""
    rows: list[list[str]] = [[]]
    for name in dict.fromkeys(names):
        if rows[-1] and sum(len(n) + 5 for n in (*rows[-1], name)) * 0.075 > inches - 0.2:
            rows.append([])
        rows[-1].append(name)
    return rows[:2]


def _legend(figure: Figure, scheme: Scheme, box: Box, rows: list[list[str]], numbers: dict[str, int]) -> None:
    width, height = figure.get_size_inches()
    for number, row in enumerate(rows):
        x, y = box[0] + 0.12, box[1] + 0.11 + 0.17 * (len(rows) - 1 - number)
        for name in row:
            color = drawing.SERIES[numbers[name] % len(drawing.SERIES)]
            figure.text(x / width, y / height, "━", fontsize=8, color=color, va="center")
            figure.text((x + 0.15) / width, y / height, name, fontsize=7.5, color=scheme.ink, va="center")
            x += 0.15 + len(name) * 0.068 + 0.2


def _stat(figure: Figure, scheme: Scheme, one: Shown, box: Box) -> None:
    """The last value, and the way there behind it."""
    defaults = one.panel["fieldConfig"]["defaults"]
    width, height = figure.get_size_inches()
    line = one.lines[0]
    value = line.samples[-1][1]
    color = _threshold_color(defaults, value)
    if one.panel["options"].get("graphMode") == "area":
        axes = _axes(figure, box, left=0.02, bottom=0.02, right=0.02, top=box[3] * 0.62)
        axes.set_axis_off()
        times = [at for at, _ in line.samples]
        values = [v for _, v in line.samples]
        axes.plot(times, values, color=color, lw=1.1)
        axes.fill_between(times, values, min(0.0, *values), color=color, alpha=0.18, lw=0)
        axes.set_ylim(min(0.0, *values), max(*values, 1e-9) * 1.3)
        axes.margins(x=0)
    at = (box[0] + box[2] / 2) / width, (box[1] + box[3] * 0.58) / height
    figure.text(*at, _told(defaults, value), fontsize=26, color=color, fontweight="bold", ha="center", va="center")
    if len(one.lines) > 1:
        more = f"and {len(one.lines) - 1} more"
        figure.text(at[0], at[1] - 0.4 / height, more, fontsize=7, color=scheme.faint, ha="center")


def _bargauge(figure: Figure, scheme: Scheme, one: Shown, box: Box) -> None:
    defaults = one.panel["fieldConfig"]["defaults"]
    axes = _axes(figure, box, left=1.1, bottom=0.14, right=0.6)
    names = [line.name for line in one.lines][::-1]
    values = [line.samples[-1][1] for line in one.lines][::-1]
    longest = max([*values, float(defaults.get("max", 0)), 1e-9])
    axes.barh(names, [longest] * len(names), color=scheme.grid, height=0.62)
    axes.barh(names, values, color=[_threshold_color(defaults, value) for value in values], height=0.62)
    for number, value in enumerate(values):
        axes.text(longest * 1.02, number, _told(defaults, value), va="center", fontsize=8.5, color=scheme.ink)
    axes.set_xlim(0, longest)
    axes.set_xticks([])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(axis="y", labelsize=8, labelcolor=scheme.ink)


def _told(defaults: dict[str, Any], value: float) -> str:
    """The value's name where the panel gives it one, else with its unit."""
    for mapping in defaults.get("mappings") or []:
        if mapping.get("type") == "value" and f"{value:g}" in mapping["options"]:
            return str(mapping["options"][f"{value:g}"]["text"])
    return shown_as(value, defaults.get("unit", "short"))


def _threshold_color(defaults: dict[str, Any], value: float) -> str:
    reached = [s["color"] for s in defaults["thresholds"]["steps"] if s.get("value") is None or value >= s["value"]]
    return _color(reached[-1] if reached else "green")


def _color(name: str) -> str:
    return drawing.NAMED.get(name, name)


DRAWN: dict[str, Callable[[Figure, Scheme, Shown, Box], Axes | None]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "bargauge": _bargauge,
}
"""Panel types that can be drawn. Another one is a KeyError, and tests/test_preview.py holds the dashboards to these."""
