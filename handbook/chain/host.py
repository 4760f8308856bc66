"""A host of its own for one fault: Debian's node exporter, a small disk, backups, and the data of a node that grows."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from handbook.chain.lane import Flow
from handbook.chain.process import Server
from handbook.ports import free_port

HOSTS = "the-block-host"
"""The job under which Prometheus scrapes hosts."""
DISK_BYTES = 4 << 20
DATA = b"data\n"
PRIVATE = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
"""Runs a program that may mount without the rest of the machine seeing it."""


def may_mount() -> bool:
    """Whether this machine lets its user have a disk of its own; containers often do not."""
    done = subprocess.run([*PRIVATE, "true"], capture_output=True, check=False)
    return done.returncode == 0


class Host:
    """Started by the constructor: a proven backup a minute old, an empty disk, a log of one byte.

    `script` is monitoring/node_textfile.sh. The disk is a tmpfs of 4 MiB that only the exporter's processes see. Where
    nothing may be mounted, its two gauges come from the textfile collector: `real_disk` says which.
    """

    job = HOSTS

    def __init__(self, directory: Path, script: Path) -> None:
        self._directory, self._script, self._lock = directory, script, threading.Lock()
        self._copies, self._data, self._text = (directory / name for name in ("copies", "data", "textfile"))
        for made in (self._copies, self._data, self._text, directory / "disk", directory / "proc" / "1"):
            made.mkdir(parents=True)
        self._log_bytes = 1
        (self._data / "wal.log").write_bytes(b"\n")
        self.backup(60)
        self.real_disk = may_mount()
        self._gauge_disk(0)
        self.instance = f"127.0.0.1:{free_port()}"
        self._exporter = self._start()
        self.flows = [Flow(0.7, self._measure)]
        self._exporter.wait()

    def backup(self, age: int) -> None:
        """Makes the newest proven copy hold data that are `age` seconds old, and no newer one exist."""
        with self._lock:
            for old in self._copies.iterdir():
                shutil.rmtree(old)
            taken = time.time() - age
            copy = self._copies / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(taken))
            copy.mkdir()
            (copy / "data").write_bytes(DATA)
            manifest = copy / "SHA256SUMS"
            manifest.write_text(f"{hashlib.sha256(DATA).hexdigest()}  data\n")
            os.utime(manifest, (taken, taken))
        self._measure()

    def grow_log(self, size: int) -> None:
        """By `size` bytes, without using them on the disk."""
        self._log_bytes += size
        os.truncate(self._data / "wal.log", self._log_bytes)

    def fill_disk(self, share: float) -> None:
        """0 empties it."""
        if self.real_disk:
            root = Path(f"/proc/{self._exporter.process.pid}/root")
            (root / self._directory.absolute().relative_to("/") / "disk" / "filler").write_bytes(
                bytes(int(DISK_BYTES * share))
            )
        else:
            self._gauge_disk(share)

    def every(self, seconds: float, call: Callable[[], object]) -> Flow:
        flow = Flow(seconds, call)
        self.flows.append(flow)
        return flow

    def close(self) -> None:
        for flow in self.flows:
            flow.stop()
        self._exporter.stop()

    def _measure(self) -> None:
        """As a timer does on a host."""
        with self._lock:
            subprocess.run(
                ["bash", self._script, self._copies, self._text / "the_block.prom", self._data],
                check=True,
                capture_output=True,
            )

    def _gauge_disk(self, share: float) -> None:
        if self.real_disk:
            return
        labels = f'{{device="simulated",fstype="tmpfs",mountpoint="{self._directory}/disk"}}'
        scratch = self._text / "disk.new"
        scratch.write_text(
            f"node_filesystem_avail_bytes{labels} {DISK_BYTES * (1 - share):.0f}\n"
            f"node_filesystem_size_bytes{labels} {DISK_BYTES}\n"
        )
        scratch.replace(self._text / "disk.prom")

    def _start(self) -> Server:
        disk = self._directory / "disk"
        # what the exporter takes for the machine's mounts, so that it tells of this one only
        (self._directory / "proc" / "1" / "mounts").write_text(f"disk {disk} tmpfs rw 0 0\n")
        prefix: tuple[str, ...] = ()
        collectors = ["--collector.disable-defaults", "--collector.textfile"]
        if self.real_disk:
            mount = f'mount -t tmpfs -o size={DISK_BYTES} disk "$0" && exec "$@"'
            prefix = (*PRIVATE, "sh", "-c", mount, str(disk))
            collectors.append("--collector.filesystem")
        arguments = [
            *collectors,
            f"--path.procfs={self._directory / 'proc'}",
            f"--collector.textfile.directory={self._text}",
            f"--web.listen-address={self.instance}",
        ]
        return Server("prometheus-node-exporter", arguments, self._directory, f"http://{self.instance}/metrics", prefix)
