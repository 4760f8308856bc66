"""The series of one metric, bounded, and their lines in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from itertools import product

from handbook.node.families import LONGEST_VALUE, OTHER, Family, Label


class Samples:
    """A counter or gauge. `values` is by the label part of the line: `{status="draft"}`, or nothing."""

    def __init__(self, family: Family, deviations: Collection[str] = ()) -> None:
        self.family, self._deviations = family, deviations
        self.values: dict[str, float] = {}
        self._parts: dict[tuple[str, ...], str] = {}
        """Only of values that are kept, so that what a caller types cannot make it grow."""
        self._kept: tuple[set[str], ...] = tuple(set(label.values) for label in family.labels)
        if family.from_start:
            for values in product(*(label.values for label in family.labels)):
                self.add(*values, by=0)

    def add(self, *values: str, by: float = 1) -> None:
        """One value per label, in the table's order."""
        part = self._part(values)
        self.values[part] = self.values.get(part, 0) + by

    def set(self, value: float, *values: str) -> None:
        self.values[self._part(values)] = value

    def lines(self) -> str:
        return text(self.family, self.values)

    def _part(self, values: tuple[str, ...]) -> str:
        part = self._parts.get(values)
        if part is None:
            labels = self.family.labels
            if "labels_unbounded" in self._deviations:
                return part_of(labels, values)
            kept = tuple(
                _bounded(value, label, seen) for value, label, seen in zip(values, labels, self._kept, strict=True)
            )
            part = self._parts[kept] = part_of(labels, kept)
        return part


class Histogram:
    def __init__(self, family: Family) -> None:
        self.family = family
        self.counts = [0] * (len(family.buckets) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """A negative one, after a clock was set back, counts as 0: a sum must not fall."""
        value = max(value, 0)
        self.counts[bisect_left(self.family.buckets, value)] += 1
        self.sum += value

    def lines(self) -> str:
        if not self.family.from_start and not any(self.counts):
            return ""
        samples: dict[str, float] = {}
        running = 0
        for bound, count in zip((*self.family.buckets, "+Inf"), self.counts, strict=True):
            running += count
            samples[f'_bucket{{le="{bound}"}}'] = running
        return text(self.family, samples | {"_sum": self.sum, "_count": running})


def text(family: Family, samples: Mapping[str, float]) -> str:
    """The family's whole block; empty when nothing was set: such a series does not exist yet."""
    if not samples:
        return ""
    name = family.name
    head = f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"
    return head + "".join([f"{name}{part} {_number(value)}\n" for part, value in samples.items()])


def part_of(labels: tuple[Label, ...], values: tuple[str, ...]) -> str:
    """`{client="::1"}`; nothing without labels."""
    pairs = ",".join(f'{label.name}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _bounded(value: str, label: Label, seen: set[str]) -> str:
    if value in seen:
        return value
    if len(seen) < label.kept and len(value) <= LONGEST_VALUE:
        seen.add(value)
        return value
    return OTHER


def _number(value: float) -> str:
    """Whole ones without a point, as the node writes them."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
