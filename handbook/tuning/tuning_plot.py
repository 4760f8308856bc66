"""One picture per threshold: the window's values over time and as a distribution, with the number and its pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from handbook import drawing
from handbook.drawing import Scheme
from handbook.tuning.tuning import Measured, Window
from handbook.tuning.tuning_table import compact

BIN = 1800.0
"""Seconds that one point of the drawn line stands for: median, with the smallest and the largest around it."""
WIDE = 8
"""Largest value over the 95th percentile from which the axis is logarithmic."""


def plot_all(measured: Iterable[Measured], window: Window, folder: Path, mark: str = "") -> list[Path]:
    """`NAME-light.svg` and `NAME-dark.svg` for each threshold; `mark` stands under every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for one in measured:
        for scheme in drawing.SCHEMES:
            file = folder / f"{one.threshold.key}-{scheme.name}.svg"
            with drawing.style(scheme):
                drawing.save(_figure(one, window, scheme, mark), file)
            files.append(file)
    return files


def _figure(one: Measured, window: Window, scheme: Scheme, mark: str) -> Figure:
    threshold, now, eightieth = one.threshold, one.now, one.eightieth
    figure = Figure(figsize=(9.6, 3.3), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08), facecolor=scheme.card)
    over, spread = figure.subplots(1, 2, width_ratios=[5, 1], sharey=True)
    values = [value for samples in one.values.values() for _, value in samples]
    wide = one.points["max"] > WIDE * one.points["p95"] > 0 and min(values) >= 0
    linear_below = max(one.points["p50"], one.points["p95"] / 10)
    if wide:  # values down to 0 are drawn too: below the middle of them the axis is linear
        over.set_yscale("symlog", linthresh=linear_below, linscale=0.6)
        over.yaxis.set_minor_locator(NullLocator())
    over.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    for number, samples in enumerate(one.values.values()):
        color = drawing.SERIES[2 + number % 6]
        binned = [(at, sorted(v for _, v in group)) for at, group in groupby(samples, lambda s: s[0] // BIN * BIN)]
        times = [datetime.fromtimestamp(at + BIN / 2, UTC) for at, _ in binned]
        over.fill_between(times, [g[0] for _, g in binned], [g[-1] for _, g in binned], color=color, alpha=0.22, lw=0)
        over.plot(times, [g[len(g) // 2] for _, g in binned], color=color, lw=1.1)
    for firing in now.firings:
        span = [datetime.fromtimestamp(at, UTC) for at in (firing.start, firing.end)]
        over.axvspan(*span, color=drawing.NAMED["red"], alpha=0.25, lw=0)
        over.plot(span[:1], [0], marker="v", ms=6, color=drawing.NAMED["red"], transform=over.get_xaxis_transform())
    told = (("now", now, "red", "-"), ("p20" if threshold.low else "p80", eightieth, "orange", "--"))
    for name, replay, color, line in told:
        label = f"{name}: {threshold.comparison} {compact(replay.value)}, {_pages(replay.pages)}"
        for axes in (over, spread):
            axes.axhline(replay.value, color=drawing.NAMED[color], lw=1.4, ls=line, label=label)
    spread.hist(
        values, bins=_edges(values, linear_below if wide else None), orientation="horizontal", color=scheme.faint
    )
    spread.set_xticks([])
    spread.set_title("distribution", fontsize=8, color=scheme.faint, loc="left")
    over.set_xlim(*(datetime.fromtimestamp(at, UTC) for at in (window.start, window.end)))
    locator = AutoDateLocator()
    over.xaxis.set_major_locator(locator)
    over.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    over.set_ylabel(threshold.unit)
    over.set_title(threshold.key, loc="left", fontsize=11, fontweight="bold")
    handles, labels = over.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    if mark:
        figure.text(0.995, 0.012, mark, ha="right", va="bottom", fontsize=7.5, color=scheme.faint)
    return figure


def _pages(count: int) -> str:
    return f"{count} page{'' if count == 1 else 's'}"


def _edges(values: list[float], linear_below: float | None) -> list[float]:
    """Of the bars: of one height on the axis as it is drawn."""
    low, high = min(values), max(values)
    if low == high:
        return [low - 0.5, high + 0.5]
    if linear_below is None or low >= linear_below:
        return [low + (high - low) * n / 40 for n in range(41)]
    linear = [low + (linear_below - low) * n / 12 for n in range(12)]
    return [*linear, *(linear_below * (high / linear_below) ** (n / 28) for n in range(29))]
