"""Locks between processes, on files beside what they guard; the kernel releases them when a process dies.

Writers of a store take them. Readers never do: every change they can see is one atomic rename.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock(file: Path, *, is_shared: bool = False, mode: int = 0o666) -> Iterator[None]:
    """Wait for the lock and hold it until the block ends. is_shared: any number may hold it. mode: of a new file."""
    with _opened(file, mode) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
        yield


@contextmanager
def lock_if_free(file: Path) -> Iterator[bool]:
    """Take the lock exclusively until the block ends, without waiting; yield whether it was free."""
    with _opened(file) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(file: Path, mode: int = 0o666) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # this also releases the lock
