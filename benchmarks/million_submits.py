"""A million durable submits, slice by slice: `python benchmarks/million_submits.py [--keep-all] [SUBMITS]`.

After each slice the plain uvicorn echo of `node_throughput.py` gets the same load for a while, so that a busy machine
shows in both; what is flat is the node's rate as a share of the echo's. At the end the node is killed and started
again on what it left.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import get_context

import psutil
from node_throughput import SUBMIT, echo, load, megabytes, requests, verdict

from handbook.target import MockProcess

CONNECTIONS = 64
SLICES = 10


def main(submits: int, keep_all: bool) -> int:
    calls = requests((SUBMIT,))
    with echo() as (directory, echo_port):
        flags = ("--keep-all",) if keep_all else ()
        node = MockProcess(directory, flags=flags)
        done, failed = 0, 0
        try:
            with get_context("spawn").Pool(1) as pool:
                print(
                    f"{'submits':>9}{'node/s':>9}{'p99 ms':>8}{'MB':>7}{'log MB':>8}{'echo/s':>9}  node/echo",
                    flush=True,
                )
                rate = 10_000.0
                while done < submits:
                    port = int(node.addresses.node.rpartition(":")[2])
                    seconds = max(min(submits // SLICES, submits - done) / rate, 0.5)
                    ours = pool.apply(load, (port, calls, CONNECTIONS, seconds))
                    theirs = pool.apply(load, (echo_port, calls, CONNECTIONS, 2.0))
                    rate = ours.rate
                    done += round(ours.rate * seconds)
                    failed += ours.errors
                    data = directory / "node-data"
                    size = sum(path.stat().st_size for path in data.iterdir() if path.is_file()) / 2**20
                    print(
                        f"{done:>9}{ours.rate:>9.0f}{ours.p99:>8.1f}{megabytes(psutil.Process(node.process.pid)):>7.0f}"
                        f"{size:>8.0f}{theirs.rate:>9.0f}{ours.rate / theirs.rate:>11.2f}",
                        flush=True,
                    )
            node.process.kill()
            node.process.wait()
            started = time.perf_counter()
            again = MockProcess(directory, flags=flags)
            took = time.perf_counter() - started
            size_after = megabytes(psutil.Process(again.process.pid))
            again.stop()
            print(f"killed and started again: ready after {took:.2f} s, {size_after:.0f} MB")
        finally:
            if node.process.poll() is None:
                node.stop()
    return verdict(failed)


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
    raise SystemExit(main(int(numbers[0]) if numbers else 1_000_000, "--keep-all" in sys.argv))
