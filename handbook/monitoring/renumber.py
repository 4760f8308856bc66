"""New panel ids for a Grafana dashboard, by what a panel is and not by what its text looks like.

Two dashboards that both count from 1 cannot be told apart in a link or an alert. Ids that already lie in the wanted
range stay, so links hold and a second run changes nothing.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handbook import document

SPAN = 100
"""Ids that one dashboard may use: 100 to 199, 200 to 299."""
PANEL_LINK = re.compile(r"(?P<before>(?:view|edit)Panel=(?:panel-)?|panelId=)(?P<id>\d+)")
OTHER_DASHBOARD = re.compile(r"/d/(?P<uid>[\w-]+)")


def panels(dashboard: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every panel with its place, rows and the panels folded into rows among them."""
    for position, panel in enumerate(dashboard.get("panels") or []):
        yield ("panels", position), panel
        for inner, nested in enumerate(panel.get("panels") or []):
            yield ("panels", position, "panels", inner), nested


def renumber(dashboard: dict[str, Any], start: int) -> tuple[dict[str, Any], dict[int, int]]:
    """A copy with panel ids from `start` on, in the order of the old ids, and the map of ids that changed.

    The dashboard's own id, annotation ids and everything else called `id` stay. What refers to a panel follows:
    links with viewPanel=, queries that reuse a panel's result, annotation filters.
    Raises ValueError when there are more panels than a dashboard's range holds.
    """
    renumbered = copy.deepcopy(dashboard)
    every = [panel for _, panel in panels(renumbered)]
    if len(every) > SPAN:
        raise ValueError(f"{len(every)} panels do not fit into the {SPAN} ids from {start} on")
    kept: set[int] = set()
    moving = []
    for panel in every:
        old = panel.get("id")
        if isinstance(old, int) and start <= old < start + SPAN and old not in kept:
            kept.add(old)
        else:
            moving.append(panel)
    free = (number for number in range(start, start + SPAN) if number not in kept)
    changed: dict[int, int] = {}
    for panel in sorted(moving, key=_old_id):
        new, old = next(free), panel.get("id")
        if isinstance(old, int) and old not in kept:
            changed.setdefault(old, new)
        panel["id"] = new
    _follow(renumbered, changed)
    return renumbered, changed


def renumber_file(file: Path, start: int) -> dict[int, int]:
    """In place; the file is left alone when nothing changes. Raises Unreadable, ValueError."""
    before = document.read(file).data
    if not isinstance(before, dict) or not before.get("panels"):
        raise ValueError(f"{document.shown(file)}: not a dashboard: it has no panels")
    after, changed = renumber(before, start)
    if after != before:
        draft = file.with_name(f".{file.name}.draft")
        draft.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(file)
    return changed


def _old_id(panel: dict[str, Any]) -> float:
    old = panel.get("id")
    return old if isinstance(old, int) else float("inf")


def _follow(dashboard: dict[str, Any], changed: dict[int, int]) -> None:
    own = dashboard.get("uid")

    def links(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: links(one) for key, one in value.items()}
        if isinstance(value, list):
            return [links(one) for one in value]
        if not isinstance(value, str):
            return value
        elsewhere = OTHER_DASHBOARD.search(value)
        if elsewhere and elsewhere["uid"] != own:
            return value
        return PANEL_LINK.sub(lambda m: m["before"] + str(changed.get(int(m["id"]), int(m["id"]))), value)

    for key in dashboard:
        dashboard[key] = links(dashboard[key])
    for _, panel in panels(dashboard):
        for target in panel.get("targets") or []:
            if "panelId" in target:
                target["panelId"] = changed.get(target["panelId"], target["panelId"])
    for annotation in (dashboard.get("annotations") or {}).get("list") or []:
        if (only := annotation.get("filter")) and "ids" in only:
            only["ids"] = [changed.get(one, one) for one in only["ids"]]
