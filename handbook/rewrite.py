"""Writes new content into output blocks: what `--update` does, and CI never."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handbook.page import Block


def rewrite(file: Path, new: Iterable[tuple[Block, str]]) -> int:
    """Puts each text between its block's fences, keeping the indentation. Returns how many blocks changed."""
    lines = file.read_text(encoding="utf-8").split("\n")
    done = 0
    for block, text in sorted(new, key=lambda pair: -pair[0].line):
        body = [f"{block.indent}{line}".rstrip() if not line else block.indent + line for line in text.splitlines()]
        lines[block.line : block.end - 1] = body
        done += 1
    file.write_text("\n".join(lines), encoding="utf-8")
    return done
