"""What verdicts rest on. While none of it changes, what passed need not be run again (`--reuse`).

A page's verdicts rest on the page, the engine, the facts, the monitoring files and the programs that blocks call; those
of a page with `directory: checkout`, and the tests, rest on the whole checkout.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

from handbook import facts
from handbook.pages.page import Page

ENGINE = ("handbook", "snippets", "monitoring", "pyproject.toml", "requirements.lock")
CHECKOUT = (
    *ENGINE,
    "docs",
    "runbooks",
    "tests",
    "benchmarks",
    "mkdocs.yml",
    "Makefile",
    "README.md",
    "CONTRIBUTING.md",
    "verify_metrics_coverage.sh",
)
PROGRAMS = (
    "bash",
    "curl",
    "jq",
    "promtool",
    "prometheus",
    "amtool",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "pandoc",
    "chromium",
)


def of_page(page: Page) -> str:
    """Digest of everything that the verdicts of this page rest on."""
    rest = of_checkout() if page.meta.get("directory") == "checkout" else _of(ENGINE)
    own = "\n".join(page.lines)
    return hashlib.sha256(f"{rest}\0{page.path}\0{own}".encode()).hexdigest()[:16]


def prime() -> None:
    """Takes the digests as things are now: what changes during a run is not what was run."""
    _of(ENGINE)
    _of(CHECKOUT)


def of_engine() -> str:
    """Digest of the engine, the facts and the monitoring files: what pictures of them rest on."""
    return _of(ENGINE)


def of_checkout() -> str:
    """Digest of everything that the tests rest on."""
    return _of(CHECKOUT)


@cache
def _of(places: tuple[str, ...]) -> str:
    digest = hashlib.sha256(f"{sys.version}\0{_programs()}".encode())
    for place in places:
        top = facts.ROOT / place
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(facts.ROOT)}\0{_file(file)}\0".encode())
    return digest.hexdigest()


def _file(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _programs() -> str:
    """Which programs there are, by place, size and date."""
    found = [(name, shutil.which(name)) for name in PROGRAMS]
    return repr(
        [(name, at, Path(at).stat().st_size, Path(at).stat().st_mtime_ns) if at else name for name, at in found]
    )
