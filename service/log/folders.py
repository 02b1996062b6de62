"""The folder of one worker in the spool: made, locked while the worker lives, and taken over once it is dead."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from models.bundles.locks import lock
from service.log.private import FILE_MODE, make_private_folder, open_private
from service.log.segments import OPEN, SEALED, Segment, load_segment, sync_folder

logger = logging.getLogger(__name__)

_LOCK = "lock"


class Adopted(NamedTuple):
    """A segment of a dead worker. n_torn_bytes: bytes of the cut-off tail and of damage inside."""

    segment: Segment
    n_torn_bytes: int


class WorkerFolder:
    """root: the folder that all workers of this machine share."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = f"worker-{secrets.token_hex(6)}"
        self.path = root / self.name
        self._lock_descriptor: int | None = None
        self._left: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether the folder was made and its lock is held."""
        return self._lock_descriptor is not None

    @property
    def is_in_place(self) -> bool:
        """Whether the held lock is the one that others find, so that nobody deleted or replaced the folder."""
        return self._lock_descriptor is not None and is_at(self._lock_descriptor, self.path / _LOCK)

    def open(self) -> None:
        """Make the folder, if it does not exist. Raises OSError."""
        make_private_folder(self._root)
        if self._lock_descriptor is None:
            with self._shared_lock():
                make_private_folder(self.path)
                self._lock_descriptor = _locked(self.path / _LOCK)
        sync_folder(self._root)

    def close(self) -> None:
        """Release the folder to the next worker."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def adopt(self) -> list[Adopted]:
        """Take over what dead workers left. What cannot be read stays where it is and is logged. Raises OSError."""
        adopted: list[Adopted] = []
        with self._shared_lock():
            for folder in self._root.glob("worker-*"):
                if folder.name == self.name or not folder.is_dir():
                    continue
                try:
                    for one in self._take_over(folder):
                        adopted.append(one)
                except OSError as error:
                    self._say_left(folder, error)
        return adopted

    def _shared_lock(self) -> AbstractContextManager[None]:
        return lock(self._root / _LOCK, mode=FILE_MODE)

    def _take_over(self, folder: Path) -> Iterator[Adopted]:
        """Move the segments here from a folder whose worker is dead."""
        descriptor = open_private(folder / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            left = [path for path in sorted(folder.iterdir()) if path.name != _LOCK]
            for path in left:
                path.open("rb").close()  # without this check it would be moved and never read
            for path in sorted(left, key=_is_segment):  # notes first, so that no segment comes without them
                moved = self.path / path.name
                path.rename(moved)
                if _is_segment(path):
                    yield _adopted(moved)
            sync_folder(self.path)
            (folder / _LOCK).unlink()
            folder.rmdir()
        finally:
            os.close(descriptor)

    def _say_left(self, folder: Path, error: OSError) -> None:
        """Log it once a folder, as it is tried again each second."""
        if folder.name not in self._left:
            self._left.add(folder.name)
            logger.error(
                "events of a dead worker wait in %s: %s; mend that, it is tried again", folder, error
            )


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at the path; it may have been deleted, moved or replaced."""
    with suppress(OSError):
        found, opened = path.stat(), os.fstat(descriptor)
        return (found.st_ino, found.st_dev) == (opened.st_ino, opened.st_dev)
    return False


def _adopted(path: Path) -> Adopted:
    segment, n_torn, n_damaged = load_segment(path)
    if n_torn:
        logger.warning("a torn tail of %d bytes was cut off %s", n_torn, path.name)
    if n_damaged:
        logger.error("%d bytes of %s are damaged; what they held is lost", n_damaged, path.name)
    return Adopted(segment, n_torn + n_damaged)


def _locked(file: Path) -> int:
    """Return a descriptor that holds the lock until it is closed."""
    descriptor = open_private(file, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_segment(path: Path) -> bool:
    return path.suffix in (OPEN, SEALED)
