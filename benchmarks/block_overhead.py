"""What the engine costs per block, against plain pytest-markdown-docs on the same blocks, in pairs.

    python benchmarks/block_overhead.py [--runs 5]

500 python blocks in 50 pages, each `x = N; assert x == N`. Both sides are whole processes; ours also starts a mock
node, resets it for each page and asks it after each block what it saw. Start-up is taken out by timing one block.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from handbook import facts

PAGES, BLOCKS = 50, 10
PLAIN = ["-p", "no:cacheprovider", "-p", "no:locust", "-q", "-c", "/dev/null", "--markdown-docs"]
OURS = ["-p", "no:cacheprovider", "-q", "-c", str(facts.ROOT / "pyproject.toml"), "--rootdir", str(facts.ROOT)]


def write_pages(directory: Path, language: str, line: str) -> None:
    for page in range(PAGES):
        fences = (f"```{language}\n{line.format(n=page * BLOCKS + n)}\n```\n" for n in range(BLOCKS))
        (directory / f"page{page:02}.md").write_text("# Page\n\n" + "\n".join(fences))


def seconds(arguments: list[str], expected: int) -> float:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if f"{expected} passed" not in done.stdout:
        sys.exit(f"not a measurement: {done.stdout[-500:]}{done.stderr[-500:]}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    total = PAGES * BLOCKS
    with tempfile.TemporaryDirectory() as scratch:
        python, bash, one = Path(scratch, "python"), Path(scratch, "bash"), Path(scratch, "one")
        for directory in (python, bash, one):
            directory.mkdir()
        write_pages(python, "python", "x = {n}\nassert x == {n}")
        write_pages(bash, "bash", "test {n} -eq {n}")
        (one / "page.md").write_text("# Page\n\n```python\nassert True\n```\n")
        sides = {
            "pytest-markdown-docs, python": (PLAIN, python),
            "handbook, python": (OURS, python),
            "handbook, bash": (OURS, bash),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        start: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(runs):
            start["plain"].append(seconds([*PLAIN, str(one)], 1))
            start["ours"].append(seconds([*OURS, str(one)], 1))
            for name, (arguments, directory) in sides.items():
                times[name].append(seconds([*arguments, str(directory)], total))
        base = {side: statistics.median(found) for side, found in start.items()}
        plain = statistics.median(times["pytest-markdown-docs, python"])
        print(f"{total} blocks in {PAGES} pages, median of {runs} runs")
        for name, found in times.items():
            median = statistics.median(found)
            per_block = (median - base["ours" if name.startswith("handbook") else "plain"]) / total * 1000
            print(
                f"{name:30} {median:6.2f} s  ratio {median / plain:5.2f}  {per_block:6.2f} ms per block after start-up"
            )
        print(f"start-up with one block: plain {base['plain']:.2f} s, ours {base['ours']:.2f} s")


if __name__ == "__main__":
    main()
