"""Values with their unit, as a panel shows them."""

from __future__ import annotations

from collections.abc import Callable

TIMES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def shown_as(value: float, unit: str) -> str:
    """`value` in Grafana's `unit`: `s`, `percentunit`, `bytes`, … Raises KeyError for a unit that none of ours has."""
    if value != value:
        return ""
    return UNITS[unit](value)


def _short(value: float) -> str:
    for scale, letter in THOUSANDS:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def _seconds(value: float) -> str:
    for scale, unit in TIMES:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return "0 s"


def _bytes(value: float) -> str:
    for scale, unit in BINARY:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} B"


def _decimal_bytes(value: float) -> str:
    shown = _short(value)
    return shown + ("B" if shown[-1:] in "kMGT" else " B")


UNITS: dict[str, Callable[[float], str]] = {
    "short": _short,
    "none": lambda value: f"{value:g}",
    "s": _seconds,
    "percentunit": lambda value: f"{value * 100:.3g} %",
    "percent": lambda value: f"{value:.3g} %",
    "bytes": _bytes,
    "decbytes": _decimal_bytes,
    "Bps": lambda value: f"{_decimal_bytes(value)}/s",
    "reqps": lambda value: f"{_short(value)} req/s",
    "cps": lambda value: f"{_short(value)}/s",
    "ops": lambda value: f"{_short(value)}/s",
    "dateTimeAsIso": lambda value: f"{value:.0f}",
}
