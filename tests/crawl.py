"""A crawl of a built site: every link and anchor resolves, nothing points at another origin, nothing was left undrawn.

MkDocs' strict mode misses raw links, undefined references and unknown icons; this finds them in what was built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
LEFT_OVER = re.compile(r"\]\[(?!(?:N|L|P|R|run|unverified)\])|\{\{|\{%|(?<![\w:]):[a-z]+-[a-z-]+:|--8<--")


@dataclass
class Document(HTMLParser):
    """What a page links to, loads, defines and says outside code."""

    links: list[tuple[str, str, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    _code: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.add(str(found["id"]))
        for name in ("href", "src"):
            if found.get(name) and not (tag == "link" and found.get("rel") in ("canonical", "next", "prev")):
                self.links.append((tag, name, str(found[name])))
        self._code += tag in ("code", "pre", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre", "script", "style")

    def handle_data(self, data: str) -> None:
        if self._code <= 0:
            self.text.append(data)


def read(site: Path) -> dict[Path, Document]:
    pages: dict[Path, Document] = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = Document()
        pages[file].feed(file.read_text())
    return pages


def problems(site: Path) -> list[str]:
    """`page: what` for everything wrong."""
    pages = read(site)
    found: list[str] = []
    for file, document in pages.items():
        name = str(file.relative_to(site))
        for tag, attribute, url in document.links:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") or url.startswith("//"):
                if (tag, attribute) in LOADS:
                    found.append(f"{name}: loads {url} from another origin")
            elif parts.scheme in ("", "file"):
                found += [f"{name}: {why}" for why in _local(site, file, url, pages)]
        found += [f"{name}: left undrawn: {m[0]!r}" for m in LEFT_OVER.finditer(" ".join(document.text))]
    return found


def _local(site: Path, file: Path, url: str, pages: dict[Path, Document]) -> list[str]:
    path, anchor = urldefrag(url)
    base = site if path.startswith("/") else file.parent
    target = file if not path else (base / unquote(urlsplit(path).path).lstrip("/")).resolve()
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        return [f"{url} leads nowhere"]
    if anchor and target in pages and unquote(anchor) not in pages[target].ids and not anchor.startswith("__"):
        return [f"{url}: no such anchor"]
    return []
