"""How pictures look: one style for light and for dark pages, and SVG that is the same from one run to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("Agg")


@dataclass(frozen=True)
class Scheme:
    name: str
    page: str
    card: str
    ink: str
    faint: str
    grid: str


LIGHT = Scheme("light", page="#f4f5f5", card="#ffffff", ink="#24292e", faint="#6e7781", grid="#e4e7ea")
DARK = Scheme("dark", page="#111217", card="#181b1f", ink="#d8d9da", faint="#9fa7b3", grid="#2c3235")
SCHEMES = (LIGHT, DARK)
SERIES = ("#56a64b", "#f2a516", "#3274d9", "#e0459b", "#8f6ed5", "#e0752d", "#1f9e9e", "#a3822a")
"""Of lines, in their order."""
NAMED = {"green": "#56a64b", "orange": "#ff9830", "yellow": "#f2cc0c", "red": "#e02f44", "blue": "#3274d9"}
"""Grafana's names for the colours of thresholds."""


@contextmanager
def style(scheme: Scheme) -> Iterator[None]:
    settings: dict[Any, Any] = {
        "svg.hashsalt": "handbook",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": scheme.ink,
        "axes.facecolor": scheme.card,
        "axes.edgecolor": scheme.grid,
        "axes.labelcolor": scheme.faint,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": scheme.grid,
        "grid.linewidth": 0.6,
        "xtick.color": scheme.faint,
        "ytick.color": scheme.faint,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "figure.facecolor": scheme.page,
        "savefig.facecolor": "auto",
        "legend.frameon": False,
        "legend.fontsize": 8,
        "legend.labelcolor": scheme.ink,
        "path.simplify_threshold": 0.5,
    }
    with matplotlib.rc_context(settings):
        yield


def save(figure: Figure, file: Path) -> None:
    """The same bytes for the same drawing, and never half of them."""
    draft = file.with_name(f".{file.name}.draft")
    figure.savefig(draft, format="svg", metadata={"Date": None, "Creator": None})
    draft.replace(file)
