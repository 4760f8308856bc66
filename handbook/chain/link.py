"""Whether the address in an alert opens a runbook of this site, at a heading that is there."""

from __future__ import annotations

from pathlib import Path

from handbook import facts
from handbook.monitoring import rules
from handbook.pages import links
from handbook.pages.page import read_page


def opens(url: str, root: Path = facts.ROOT) -> str:
    """The source of the page that the address shows, `runbooks/x.md#anchor`. Raises ValueError with what is missing."""
    if not url.startswith(rules.RUNBOOKS):
        raise ValueError(f"{url or 'no address'}: not under {rules.RUNBOOKS}")
    slug, _, anchor = url.removeprefix(rules.RUNBOOKS).partition("#")
    source = root / "runbooks" / f"{slug.strip('/')}.md"
    if not slug.endswith("/") or slug.startswith("_") or not source.is_file():
        raise ValueError(f"{url}: runbooks/ has no page for it")
    name = f"runbooks/{source.name}"
    if anchor and anchor not in links.ids(read_page(source)):
        raise ValueError(f"{url}: {name} has no anchor {anchor}")
    return f"{name}#{anchor}" if anchor else name
