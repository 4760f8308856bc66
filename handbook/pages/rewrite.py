"""Writes new content into output blocks: what `--update` does, and CI never."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from handbook.pages.page import Block


def rewrite(file: Path, new: Iterable[tuple[Block, str]]) -> int:
    """Puts each text between its block's fences, keeping the indentation. Returns how many blocks changed.

    Raises RuntimeError, with the file as it was, when a block is no longer where it was read or its text would close
    the fence.
    """
    with file.open(encoding="utf-8", newline="") as source:
        whole = source.read()
    ending = "\r\n" if "\r\n" in whole else "\n"
    lines = whole.split(ending)
    done = 0
    for block, text in sorted(new, key=lambda pair: -pair[0].line):
        old = "".join(f"{line.removeprefix(block.indent).rstrip()}\n" for line in lines[block.line : block.end - 1])
        if old.strip("\n") != "".join(f"{line.rstrip()}\n" for line in block.text.split("\n")).strip("\n"):
            raise RuntimeError(f"{block.where}: the page was edited meanwhile\n  hint: run it again")
        body = text.split("\n") if text else []
        if any(line.lstrip().startswith("```") for line in body):
            raise RuntimeError(f"{block.where}: what was printed would close the fence")
        lines[block.line : block.end - 1] = [f"{block.indent}{line}" if line else "" for line in body]
        done += 1
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        scratch.write_text(ending.join(lines), encoding="utf-8", newline="")
        shutil.copymode(file, scratch)
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)
    return done
