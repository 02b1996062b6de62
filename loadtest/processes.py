"""Measure what a server's processes use, from /proc: CPU seconds and memory of the whole family.

A family is recognised by a mark in its environment, which children inherit even if they detach themselves.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

MARK_VARIABLE = "BENCH_MARK"
PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10.0
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Memory:
    """The memory of one process. pss: with shared pages divided among those who map them. private: unshared pages."""

    pid: int
    resident_bytes: int
    private_bytes: int
    private_dirty_bytes: int
    pss_bytes: int


def family(mark: str) -> list[int]:
    """Return the process ids with this mark, oldest first."""
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    found = []
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(*GONE):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return sorted(found)


def cpu_seconds(pids: list[int]) -> float:
    """Return user and system time of processes and of their ended children; processes that are gone count 0."""
    return sum(map(_cpu_ticks, pids)) / TICKS_PER_SECOND


def _cpu_ticks(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except GONE:
        return 0
    # The name, in parentheses, may contain anything; utime, stime, cutime and cstime are fields 14 to 17.
    return sum(map(int, text.rpartition(")")[2].split()[11:15]))


def memory_of(pid: int) -> Memory:
    """Read the memory of one process. Raises FileNotFoundError if it is gone."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    dirty = kibibytes["Private_Dirty"]
    return Memory(
        pid,
        resident_bytes=1024 * kibibytes["Rss"],
        private_bytes=1024 * (kibibytes["Private_Clean"] + dirty),
        private_dirty_bytes=1024 * dirty,
        pss_bytes=1024 * kibibytes["Pss"],
    )


def own_bytes(pids: list[int]) -> int:
    """Return the bytes of processes' own memory, without files and shared pages; processes that are gone count 0.

    This is far cheaper than `memory_of`, so it can be called while something is measured.
    """
    return sum(map(_own_pages, pids)) * os.sysconf("SC_PAGE_SIZE")


def _own_pages(pid: int) -> int:
    try:
        _, resident, shared, *_ = (PROC / str(pid) / "statm").read_text().split()
    except GONE:
        return 0
    return int(resident) - int(shared)


def end_family(mark: str) -> None:
    """Ask the remaining processes to end, then kill them; return when none is left or the time is over."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in family(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        give_up_at = monotonic() + STOP_SECONDS
        while family(mark):
            if monotonic() > give_up_at:
                break
            sleep(0.05)


@contextmanager
def running_on(core: int | None) -> Iterator[None]:
    """Run this thread, and the processes that it starts, on one core within the block; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pick_cores() -> tuple[int, int]:
    """Return the server's core and the generator's. With a single core both share it, and figures suffer."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
