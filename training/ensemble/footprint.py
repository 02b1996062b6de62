"""Measure what a piece of work costs: wall-clock seconds, and the memory it needed beyond what was in use before.

Memory is the process's resident set, sampled by a thread. Unlike tracemalloc, this sees what Cython and OpenMP
allocate; unlike the kernel's high-water mark, it starts anew for each piece of work. A peak shorter than
`INTERVAL_SECONDS` may be missed.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

INTERVAL_SECONDS = 0.005
STATM = Path("/proc/self/statm")


@dataclass
class Footprint:
    """The cost of a piece of work, filled in when the work ends."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0


@contextmanager
def footprint() -> Iterator[Footprint]:
    """Measure the work in the `with` block; only one at a time, or each also counts the others' memory."""
    cost = Footprint()
    give_back_freed_memory()
    before = peak = resident_bytes()
    is_over = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not is_over.wait(INTERVAL_SECONDS):
            peak = max(peak, resident_bytes())

    sampler = threading.Thread(target=sample, name="footprint", daemon=True)
    sampler.start()
    started = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        is_over.set()
        sampler.join()
        cost.peak_memory_bytes = max(peak, resident_bytes()) - before


def resident_bytes() -> int:
    """Return the bytes of this process that are in RAM now."""
    return int(STATM.read_text().split()[1]) * getpagesize()


def give_back_freed_memory() -> None:
    """Return freed heap to the system (glibc only); otherwise work that reuses it would look smaller than it is."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
