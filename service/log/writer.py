"""Writes the segment that is open: synced, in a file that others can find, and anew if somebody deletes it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

from service.contract.errors import SpoolUnavailable
from service.log.folders import WorkerFolder, is_at
from service.log.private import open_private
from service.log.segments import OPEN, Segment, sync_folder

logger = logging.getLogger(__name__)

SEAL_AFTER_SECONDS = 300.0
"""A segment that is not appended to is sealed after this time, so that it can be removed one day."""

MAX_ATTEMPTS = 3
"""How often a write is tried while somebody deletes the folder."""


class _Writing(NamedTuple):
    segment: Segment
    descriptor: int


class SegmentWriter:
    """segments: all of the spool, the oldest first; the writer appends the one that it begins, and takes out those
    whose files were deleted under the service. with_redis: whether shipped bytes are safe elsewhere.

    n_lost_bytes: bytes of events that were nowhere else when their files were deleted.
    """

    def __init__(
        self, folder: WorkerFolder, segments: list[Segment], *, with_redis: bool, segment_bytes: int
    ) -> None:
        self._folder = folder
        self._segments = segments
        self._with_redis = with_redis
        self._segment_bytes = segment_bytes
        self._n_begun = 0
        self._writing: _Writing | None = None
        self._begun_at = 0.0
        self._rescued = b""
        """The content of a file that was deleted while it was being written, until it is written again."""
        self.n_lost_bytes = 0

    def open(self) -> None:
        """Make the worker's folder, if it has none. Raises SpoolUnavailable."""
        try:
            self._folder.open()
        except OSError as error:
            raise _unwritable(self._folder.path, error) from error

    def write(self, data: bytes) -> Segment:
        """Append and sync, in a file that others can find; return its segment, whose `end` is where data begins.
        Raises SpoolUnavailable.
        """
        for _ in range(MAX_ATTEMPTS):
            if self._rescued or not self._folder.is_open:
                self._begin_anew()
            try:
                writing = self._written(data)
            except FileNotFoundError:
                pass  # the folder is gone
            else:
                # A folder deleted under the service would swallow what is written into it. Looking whether the file
                # is where others find it takes 3 µs, beside half a millisecond for the sync.
                if is_at(writing.descriptor, writing.segment.path):
                    return writing.segment
            self._begin_anew()
        raise _unwritable(self._folder.path, FileNotFoundError(0, "somebody deletes it again and again"))

    def look_after(self) -> None:
        """Find out whether somebody deleted or replaced the folder or files in it, and if so begin anew. Raises
        SpoolUnavailable.
        """
        is_written_to = self._writing is None or is_at(self._writing.descriptor, self._writing.segment.path)
        if not (self._folder.is_in_place and is_written_to):
            self._begin_anew()
        self._drop_missing()

    def seal(self) -> None:
        """Complete the segment that is being written, if there is one."""
        if self._writing is None:
            return
        segment, descriptor = self._writing
        self._writing = None
        os.close(descriptor)
        if segment.end:
            with suppress(OSError):  # the file then keeps the name of an open one, which does no harm
                segment.seal()
        else:
            segment.remove()
            self._segments.remove(segment)

    def seal_idle(self) -> None:
        """Complete it if it was begun SEAL_AFTER_SECONDS ago."""
        if abs(time() - self._begun_at) > SEAL_AFTER_SECONDS:
            self.seal()

    def close(self) -> None:
        """Complete what is being written and release the folder to the next worker."""
        self.seal()
        self._folder.close()
        if self._rescued:
            self.n_lost_bytes += len(self._rescued)
            logger.error(
                "%s bytes of events could not be written anew and are lost", f"{len(self._rescued):,}"
            )

    def _written(self, data: bytes) -> _Writing:
        """Append and sync; return the file. Raises FileNotFoundError, and SpoolUnavailable if nothing was written."""
        try:
            writing = self._writable(len(data))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unwritable(self._folder.path, error) from error
        try:
            _write(writing.descriptor, data)
            os.fdatasync(writing.descriptor)
        except OSError as error:
            self._give_up_on(writing)
            raise _unwritable(self._folder.path, error) from error
        return writing

    def _writable(self, n_bytes: int) -> _Writing:
        if self._writing is not None and self._writing.segment.end + n_bytes > self._segment_bytes:
            self.seal()
        if self._writing is None:
            self._n_begun += 1
            path = self._folder.path / f"{self._folder.name[7:]}-{self._n_begun:06d}{OPEN}"
            # Opened for reading too: the descriptor is all that is left of a file that somebody deletes.
            descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            try:
                sync_folder(self._folder.path)
            except OSError:
                os.close(descriptor)
                raise
            self._writing = _Writing(Segment(path, 0), descriptor)
            self._segments.append(self._writing.segment)
            self._begun_at = time()
        return self._writing

    def _begin_anew(self) -> None:
        """Make a deleted or replaced folder and file again, with what was being written. Raises SpoolUnavailable."""
        if self._writing is not None:
            self._rescue(self._writing)
        if self._folder.is_open:
            logger.error("the spool's folder %s was deleted or replaced; it is made anew", self._folder.path)
            self._folder.close()
        self.open()
        self._drop_missing()
        if self._rescued:
            with suppress(FileNotFoundError):  # deleted again: the content is kept for the next attempt
                writing = self._written(self._rescued)
                writing.segment.end += len(self._rescued)  # all of it is shipped and merged once more
                self._rescued = b""

    def _rescue(self, writing: _Writing) -> None:
        """Read a deleted file through its open descriptor."""
        self._writing = None
        segment, rescued = writing.segment, b""
        with suppress(OSError):
            rescued = os.pread(writing.descriptor, segment.end, 0)
        os.close(writing.descriptor)
        self._segments.remove(segment)
        if len(rescued) == segment.end:
            self._rescued += rescued
        else:
            self._lose(segment)

    def _drop_missing(self) -> None:
        for segment in list(self._segments):
            if not segment.path.exists():
                self._segments.remove(segment)
                self._lose(segment)

    def _lose(self, segment: Segment) -> None:
        n_lost = segment.end - segment.shipped_to if self._with_redis else segment.end
        self.n_lost_bytes += n_lost
        logger.error(
            "%s was deleted under the service; %s of events in it were nowhere else and are lost",
            segment.path,
            f"{n_lost:,} bytes" if n_lost else "none",
        )

    def _give_up_on(self, writing: _Writing) -> None:
        """Cut off what was half-written, and append no more to this file."""
        with suppress(OSError):
            os.ftruncate(writing.descriptor, writing.segment.end)
        if is_at(writing.descriptor, writing.segment.path):
            self.seal()
        else:
            self._rescue(writing)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unwritable(folder: Path, error: OSError) -> SpoolUnavailable:
    return SpoolUnavailable(
        f"events cannot be written to {folder}: {error.strerror or error}; free space there, or name another folder "
        "in STILLROOM_SPOOL. Nothing of this batch was accepted: send it again under the same key"
    )
