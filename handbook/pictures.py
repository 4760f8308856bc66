"""Pictures that a run draws, in `build/pictures/`, and the places on pages where they stand.

A page marks the place with `<!-- picture: FOLDER/NAME: what it shows -->`. As long as nothing was drawn from what the
checkout holds now, the site says so in its place.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from handbook import facts
from handbook.pages import inputs

HOME = facts.ROOT / "build" / "pictures"
MARK = "<!-- picture: "
MARKER = re.compile(r"^<!-- picture: (?P<name>[\w/#-]+): (?P<shows>.+) -->$", re.M)
SCHEMES = ("light", "dark")
STAMP = "drawn-from.txt"


def stamp(folder: Path) -> None:
    """Says of the pictures in `folder` what they were drawn from."""
    if folder.absolute().is_relative_to(HOME):
        (folder / STAMP).write_text(inputs.of_engine())


def current() -> list[Path]:
    """Every picture that was drawn from what the checkout holds now."""
    found = []
    for told in sorted(HOME.glob(f"*/{STAMP}")):
        if told.read_text() == inputs.of_engine():
            found += sorted(told.parent.glob("*.svg"))
    return found


def placed(markdown: str, uri: str) -> str:
    """`markdown` of the page at `uri` of the site, with each marker's picture in its place, or a note."""
    there = {str(file.relative_to(HOME)) for file in current()}

    def place(marker: re.Match[str]) -> str:
        name, shows = marker["name"], marker["shows"]
        if {f"{name}-{scheme}.svg" for scheme in SCHEMES} - there:
            return f'<p class="not-drawn" markdown="span">Not drawn yet: {shows}. `make run` draws it.</p>'
        at = os.path.relpath(f"pictures/{name}".replace("#", "%23"), os.path.dirname(uri) or ".")
        return "\n".join(f"[![{shows}]({at}-{scheme}.svg#only-{scheme})]({at}-{scheme}.svg)" for scheme in SCHEMES)

    return MARKER.sub(place, markdown)
