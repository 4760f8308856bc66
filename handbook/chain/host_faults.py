"""What is broken on a node's host."""

from __future__ import annotations

from typing import Any

from handbook.chain.fault import Fault
from handbook.chain.host import DISK_BYTES, Host
from handbook.chain.lane import Flow


def _age(host: Host, made: Any) -> None:
    host.backup(90_000)


def _copy(host: Host, made: Any) -> None:
    host.backup(60)


def _fill(host: Host, made: Any) -> None:
    host.fill_disk(0.97)


def _empty(host: Host, made: Any) -> None:
    host.fill_disk(0)


def _grow(host: Host, made: list[Flow]) -> None:
    made.append(host.every(0.7, lambda: host.grow_log(5_000_000)))


def _stop(host: Host, made: list[Flow]) -> None:
    made.pop().stop()


FAULTS: tuple[Fault[Any], ...] = (
    Fault(
        "BackupTooOld",
        "the newest proven backup is 25 hours old",
        "time() - the_block_backup_last_success_timestamp_seconds{$node} > 87000",
        _age,
        _copy,
        setup=None,
    ),
    Fault(
        "NodeDiskFilling",
        "3 % of the disk are left",
        f"node_filesystem_avail_bytes{{$node}} < {DISK_BYTES // 20}",
        _fill,
        _empty,
        setup=None,
    ),
    Fault(
        "NodeLogGrowing",
        "the log grows by 7 MB a second",
        'the_block_data_bytes{part="log", $node} > 5e6',
        _grow,
        _stop,
        prepare=lambda host: [],
        setup=None,
    ),
)
