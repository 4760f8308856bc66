"""MkDocs hooks: publishes what lies outside `docs/`, puts verdicts on blocks, and checks the ledger.

`runbooks/`, `monitoring/README.md`, `CONTRIBUTING.md` and `snippets/schemas/` stay where they belong and are published
from there. A block's mark comes from `build/report.json`, and only if the report holds a verdict for that very content.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import CombinedEvent, event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page as SitePage

from handbook import facts, pictures
from handbook.pages import inputs, ledger, report
from handbook.pages import page as pages
from handbook.pages.fence import FENCE, walk

log = logging.getLogger("mkdocs.plugins.handbook")
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "monitoring/README.md": "monitoring.md"}
"""Pages outside docs/ and runbooks/: file in the checkout → page of the site."""
LINK = re.compile(r"\]\((?P<path>[^)#\s:]+\.md)(?P<anchor>#[^)\s]*)?\)")
DIV = re.compile(r'<div class="[^"]*\bhighlight\b[^"]*"[^>]*\bdata-block="([^"]+)"[^>]*>')
SHOWN = {"read": "", "write": "writes", "destructive": "destructive"}
"""How a block's effect stands under it."""


@dataclass
class Build:
    """What one build of the site gathers."""

    report: report.Report | None = None
    problems: list[str] = field(default_factory=list)
    blocks: int = 0
    pages: dict[Path, pages.Page] = field(default_factory=dict)


_build = Build()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    global _build
    try:
        _build = Build(report.read(Path(config.extra.get("report", report.PATH))))
    except ValueError as error:
        raise PluginError(str(error)) from None
    for section in config.nav or []:
        for items in section.values() if isinstance(section, dict) else ():
            if isinstance(items, list):
                items[:] = [_runbooks_in_nav(item) for item in items]
    return config


def _runbooks_in_nav(item: object) -> object:
    """The nav entry of the runbooks' index becomes a section with every runbook."""
    if item != {"Runbooks": "runbooks/index.md"}:
        return item
    return {"Runbooks": ["runbooks/index.md", *(f"runbooks/{p.name}" for p in _runbooks() if p.name != "index.md")]}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    if Path(config.docs_dir) != facts.ROOT / "docs":
        return files
    published = {str(p.relative_to(facts.ROOT)): f"runbooks/{p.name}" for p in _runbooks()}
    for source, uri in {**published, **ELSEWHERE}.items():
        if (facts.ROOT / source).is_file():
            files.append(File.generated(config, uri, abs_src_path=str(facts.ROOT / source)))
    for picture in pictures.current():
        uri = f"pictures/{picture.relative_to(pictures.HOME)}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    for schema in sorted((facts.SNIPPETS / "schemas").glob("*.json")):
        files.append(File.generated(config, f"schemas/{schema.name}", abs_src_path=str(schema)))
    files.append(File.generated(config, "openrpc.json", abs_src_path=str(facts.SNIPPETS / "openrpc.json")))
    return files


def _runbooks() -> list[Path]:
    return [p for p in sorted((facts.ROOT / "runbooks").glob("*.md")) if not p.name.startswith("_")]


@event_priority(100)
def _ask_for_macros(markdown: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    """mkdocs-macros draws the pages that call a macro; the others are full of braces that are none of its business."""
    page.meta["render_macros"] = any(line.macro for line in _source(page).text)
    return markdown


@event_priority(-100)
def _tag(markdown: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    """Each block's id written into its fence, to find the drawn block by. What is drawn must be what was run."""
    source = _source(page)
    drawn, run = (text.strip().split("\n") for text in (markdown, "\n".join(line.text for line in source.text)))
    if drawn != run:
        differ = next((pair for pair in zip_longest(drawn, run, fillvalue="(nothing)") if pair[0] != pair[1]), ("", ""))
        raise PluginError(f"{source.path}: the site draws {differ[0]!r}, what was run is {differ[1]!r}")
    _build.blocks += len(source.blocks)
    uri = page.file.src_uri

    def prose(line: str) -> str:
        if line.startswith(pictures.MARK):
            return pictures.placed(line, uri)
        return LINK.sub(lambda m: _site_link(m, source.file, uri), line)

    return tag_blocks(source, prose)


on_page_markdown = CombinedEvent(_ask_for_macros, _tag)


def _site_link(link: re.Match[str], source: Path, uri: str) -> str:
    """Links are written as the checkout lies, so that they also work in an editor; here they become the site's."""
    target = os.path.normpath(source.parent / link["path"])
    if not Path(target).is_file() or not target.startswith(f"{facts.ROOT}/"):
        return link[0]
    inside = os.path.relpath(target, facts.ROOT)
    published = ELSEWHERE.get(inside, inside.removeprefix("docs/"))
    return f"]({os.path.relpath(published, os.path.dirname(uri) or '.')}{link['anchor'] or ''})"


def tag_blocks(source: pages.Page, prose: Callable[[str], str] = str) -> str:
    """The page's text with `data-block="ID"` on each fence and includes put in; `prose` turns each line outside."""
    lines = [line.text if line.in_block else prose(line.text) for line in source.text]
    found = [(at, f) for kind, at, f in walk(source.path, lines, 0) if kind == "fence"]
    for (position, (indent, _, _, end)), block in reversed(list(zip(found, source.blocks, strict=True))):
        fence = FENCE.match(lines[position - 1])
        assert fence
        shown = {k: v for k, v in block.attrs.items() if k in ("title", "hl_lines")}
        attributes = " ".join(f'{k}="{v}"' for k, v in {**shown, "data-block": block.id}.items())
        classes = "".join(f".{name} " for name in (block.lang, *block.classes, f"effect-{block.effect}"))
        body = [(indent + line).rstrip(" \t") for line in block.text.removesuffix("\n").split("\n")]
        lines[position - 1 : end - 1] = [f"{indent}{fence['fence']}{{{classes}{attributes}}}", *body]
    return "\n".join(lines)


def on_page_content(html: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    source = _source(page)
    blocks = {block.id: block for block in source.blocks}
    marked = DIV.sub(lambda m: m[0] + _mark(source, blocks[m[1]]), html)
    return marked.replace("</h1>", "</h1>" + _header(source), 1)


def on_post_page(output: str, page: SitePage, config: MkDocsConfig) -> str:
    source = _source(page)
    _build.problems += ledger.check_page(source, output)
    found = _build.report
    if found:
        _build.problems += [
            f"{block.where}: no verdict for this block in build/report.json"
            for block in source.blocks
            if _entry(source, block) is None
        ]
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """A warning for each hole: `mkdocs build --strict` fails, `mkdocs serve` goes on."""
    problems = _build.problems
    for problem in problems:
        log.warning(problem)
    if not problems:
        log.info("ledger: %d blocks, every one shown and accounted for", _build.blocks)


def _source(page: SitePage) -> pages.Page:
    """The page as the engine reads it."""
    path = Path(page.file.abs_src_path or "")
    if path not in _build.pages:
        try:
            _build.pages[path] = pages.read_page(path)
        except pages.PageError as error:
            raise PluginError(str(error)) from None
    return _build.pages[path]


def _entry(source: pages.Page, block: pages.Block) -> report.Entry | None:
    whole = _build.report
    if whole is None or source.path not in whole.pages or whole.pages[source.path].inputs != inputs.of_page(source):
        return None  # what the verdicts rest on has changed since
    return whole.find(source.path, block.id, block.hash)


def _mark(source: pages.Page, block: pages.Block) -> str:
    entry = _entry(source, block)
    shown = SHOWN[block.effect]
    effect = f'<strong class="effect">{shown}</strong> ' if shown else ""
    if entry is None:
        return f'<span class="verdict">{effect}not verified</span>'
    text = {
        "passed": f"✓ verified on {entry.build}, {entry.at[:10]}",
        "excused": f"○ not run: {entry.message}",
        "failed": f"✗ failed on {entry.build}, {entry.at[:10]}",
    }[entry.outcome]
    return f'<span class="verdict {entry.outcome}">{effect}{escape(text)}</span>'


def _header(source: pages.Page) -> str:
    """What the run says of the page as a whole; for a runbook also what its front matter says."""
    entries = [_entry(source, block) for block in source.blocks]
    known = [entry for entry in entries if entry]
    if not known:
        said = f"{len(entries)} blocks, not verified: this site was built without a report."
    else:
        counts = {o: sum(e.outcome == o for e in known) for o in report.OUTCOMES}
        parts = [f"{counts['passed']} of {len(entries)} blocks verified"]
        parts += [f"{counts[o]} {o}" for o in ("failed", "excused") if counts[o]]
        said = f"{', '.join(parts)} on {known[0].build}, {max(e.at for e in known)[:10]}."
    line = f'<p class="page-verdict">{escape(said)}</p>' if entries else ""
    if "alert" not in source.meta:
        return line
    meta = source.meta
    chip = f'<span class="severity {escape(meta["severity"])}">{escape(meta["severity"])}</span>'
    names = [meta["alert"]] if isinstance(meta["alert"], str) else meta["alert"]
    alerts = ", ".join(f"<code>{escape(name)}</code>" for name in names)
    facts_ = f"{alerts} · {escape(meta['component'])} · owner {escape(meta['owner'])}"
    return f'<p class="runbook-card">{chip} {facts_} · {escape(meta["blast_radius"])}</p>{line}'
