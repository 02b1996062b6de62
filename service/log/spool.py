"""The write-ahead spool: what was acknowledged is on this disk before anybody is told so.

A folder for each worker, locked as long as it lives; whoever finds the folder of a dead one takes its segments over.
Everything here blocks, and runs on one thread of its worker (`service.events.thread`).
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

from models.locks import lock
from service.errors import SpoolUnavailable
from service.log.frames import frame
from service.log.records import SpooledBatch
from service.log.segments import OPEN, SEALED, Segment, ShippedNote, load_segment, sync_folder

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 2**20
SEAL_AFTER_SECONDS = 300.0
"""A segment that nobody adds to is sealed after that, so that it can be removed one day."""

_LOCK = "lock"


class Unshipped(NamedTuple):
    """A batch that Redis does not have yet, and its place."""

    batch: SpooledBatch
    segment: Segment
    end: int
    n_rewrites: int


class Spool:
    """root: the folder that all workers of this machine share. max_bytes: of this worker's segments. with_redis:
    whether shipped segments may go; without Redis only exported ones may.

    n_torn_bytes: of tails that were cut off segments of dead workers, and of damage inside them.
    """

    def __init__(
        self, root: Path, *, max_bytes: int, with_redis: bool, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._with_redis = with_redis
        self._segment_bytes = segment_bytes
        self._name = f"worker-{secrets.token_hex(6)}"
        self._folder = root / self._name
        self._segments: list[Segment] = []
        self._n_begun = 0
        self._writing: tuple[Segment, int] | None = None
        self._begun_at = 0.0
        self._lock_descriptor: int | None = None
        self._left: set[str] = set()
        self.n_torn_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Of all segments."""
        return sum(segment.end for segment in self._segments)

    @property
    def n_unshipped_bytes(self) -> int:
        """Of what Redis does not have."""
        return sum(segment.end - segment.shipped_to for segment in self._segments)

    def open(self) -> None:
        """Make this worker's folder, unless it has. Raises SpoolUnavailable where that cannot be."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if self._lock_descriptor is None:
                with lock(self._root / _LOCK):
                    self._folder.mkdir(exist_ok=True)
                    self._lock_descriptor = _locked(self._folder / _LOCK)
            sync_folder(self._root)
        except OSError as error:
            raise _unwritable(self._root, error) from error

    def adopt(self) -> int:
        """Take over what dead workers left; how many segments. What cannot be read stays where it is, and is said."""
        adopted: list[Segment] = []
        with lock(self._root / _LOCK):
            for folder in self._root.glob("worker-*"):
                if folder.name == self._name or not folder.is_dir():
                    continue
                try:
                    for segment in self._take_over(folder):
                        adopted.append(segment)
                except OSError as error:
                    self._say_left(folder, error)
        self._segments[:0] = adopted
        return len(adopted)

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write records so that they outlast this process and this machine's power. All of them or none.

        Raises SpoolUnavailable where the disk is full, fails or the spool is at its bound.
        """
        data = b"".join(map(frame, payloads))
        self._make_room(len(data))
        try:
            segment, descriptor = self._writable(len(data))
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        try:
            _write(descriptor, data)
            os.fdatasync(descriptor)
        except OSError as error:
            self._give_up_on(segment, descriptor)
            raise _unwritable(self._folder, error) from error
        segment.end += len(data)

    def batches(self) -> Iterator[SpooledBatch]:
        """All batches, to know their keys again."""
        for segment in self._segments:
            for batch, _ in segment.read(0):
                yield batch

    def unshipped(self, n_bytes: int) -> list[Unshipped]:
        """The next batches for Redis, of one segment, about n_bytes of them; empty where it has all."""
        for segment in self._segments:
            if not segment.is_shipped:
                found = segment.read(segment.shipped_to, n_bytes)
                if found:
                    return [Unshipped(batch, segment, end, segment.n_rewrites) for batch, end in found]
                segment.shipped_to = segment.end  # nothing of it can be read
        return []

    def oldest_ms(self) -> int | None:
        """When the oldest batch was received that Redis does not have; without Redis, that no export has. None for
        none.
        """
        for segment in self._segments:
            is_elsewhere = segment.is_shipped if self._with_redis else segment.is_exported
            found = [] if is_elsewhere else segment.read(segment.shipped_to if self._with_redis else 0, 1)
            if found:
                return found[0].batch.received_ms
        return None

    def mark_shipped(self, last: Unshipped, note: ShippedNote) -> None:
        """Redis has everything up to this batch of its segment."""
        segment = last.segment
        if segment.n_rewrites != last.n_rewrites:
            return
        segment.shipped_to = last.end
        if note.last_id or segment.note is None:
            segment.note = note
        segment.write_note()

    def unship_all_but(self, incarnation: str) -> int:
        """Another Redis than this one may have lost what it had; how many segments have to go again."""
        others = [
            segment
            for segment in self._segments
            if segment.note is not None and segment.note.incarnation != incarnation
        ]
        for segment in others:
            segment.unship()
        return len(others)

    def release(self, exported_to: str, keep_seconds: float) -> None:
        """Remove segments that are exported, or that Redis has had for long. exported_to: the last entry of the
        events' stream that every export has, "" for none.
        """
        self._seal_idle()
        for segment in list(self._segments):
            if segment.is_sealed and self._may_go(segment, exported_to, keep_seconds):
                self._remove(segment)

    def erase(self, user_id: str, before_ms: int) -> int:
        """Take a person's events out of all segments; how many there were."""
        if self._writing is not None:
            self._seal_writing()
        return sum(segment.erase(user_id, before_ms) for segment in self._segments)

    def close(self) -> None:
        """Leave the folder to whoever comes next."""
        if self._writing is not None:
            self._seal_writing()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def _take_over(self, folder: Path) -> Iterator[Segment]:
        """The segments of a folder whose worker is dead, moved here."""
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            left = [path for path in sorted(folder.iterdir()) if path.name != _LOCK]
            for path in left:
                path.open("rb").close()  # else it would be moved and never read
            for path in sorted(left, key=_is_segment):  # the notes first, so that they are there
                moved = self._folder / path.name
                path.rename(moved)
                if not _is_segment(path):
                    continue
                segment, n_torn, n_damaged = load_segment(moved)
                self.n_torn_bytes += n_torn + n_damaged
                if n_torn:
                    logger.warning("a torn tail of %d bytes was cut off %s", n_torn, moved.name)
                if n_damaged:
                    logger.error("%d bytes of %s are damaged; what they held is lost", n_damaged, moved.name)
                yield segment
            sync_folder(self._folder)
            (folder / _LOCK).unlink()
            folder.rmdir()
        finally:
            os.close(descriptor)

    def _say_left(self, folder: Path, error: OSError) -> None:
        """Once a folder: it is tried again each second."""
        if folder.name not in self._left:
            self._left.add(folder.name)
            logger.error(
                "events of a dead worker wait in %s: %s; mend that, it is tried again", folder, error
            )

    def _make_room(self, n_bytes: int) -> None:
        """Let go of the oldest of what Redis has, if need be. Raises SpoolUnavailable where that is not enough."""
        if self._writing is not None and self.n_bytes + n_bytes > self._max_bytes:
            self._seal_writing()
        for segment in list(self._segments):
            if self.n_bytes + n_bytes <= self._max_bytes:
                return
            if segment.is_sealed and (segment.is_exported or (self._with_redis and segment.is_shipped)):
                self._remove(segment)
        if self.n_bytes + n_bytes > self._max_bytes:
            raise SpoolUnavailable(
                f"the spool {self._folder} holds {self.n_bytes:,} bytes and {n_bytes:,} more would pass its bound of "
                f"{self._max_bytes:,}; bring Redis back, run `make export-events`, or raise STILLROOM_SPOOL_BYTES"
            )

    def _writable(self, n_bytes: int) -> tuple[Segment, int]:
        if self._writing is not None and self._writing[0].end + n_bytes > self._segment_bytes:
            self._seal_writing()
        if self._writing is None:
            self._n_begun += 1
            path = self._folder / f"{self._name[7:]}-{self._n_begun:06d}{OPEN}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC)
            try:
                sync_folder(self._folder)
            except OSError:
                os.close(descriptor)
                raise
            self._writing = (Segment(path, 0), descriptor)
            self._segments.append(self._writing[0])
            self._begun_at = time()
        return self._writing

    def _give_up_on(self, segment: Segment, descriptor: int) -> None:
        """Cut off what was half-written, and write no more behind it."""
        with suppress(OSError):
            os.ftruncate(descriptor, segment.end)
        self._seal_writing()

    def _seal_writing(self) -> None:
        assert self._writing is not None
        segment, descriptor = self._writing
        self._writing = None
        os.close(descriptor)
        if segment.end:
            with suppress(OSError):  # it keeps the name of an open one, which changes nothing
                segment.seal()
        else:
            self._remove(segment)

    def _seal_idle(self) -> None:
        if self._writing is not None and abs(time() - self._begun_at) > SEAL_AFTER_SECONDS:
            self._seal_writing()

    def _may_go(self, segment: Segment, exported_to: str, keep_seconds: float) -> bool:
        if not self._with_redis:
            return segment.is_exported
        if not segment.is_shipped or segment.note is None:
            return False
        is_exported = segment.is_exported or (
            bool(segment.note.last_id)
            and stream_position(segment.note.last_id) <= stream_position(exported_to)
        )
        return is_exported or time() - segment.note.at > keep_seconds

    def _remove(self, segment: Segment) -> None:
        segment.remove()
        self._segments.remove(segment)


def stream_position(entry_id: str) -> tuple[int, int]:
    """A stream entry's id as it is ordered; (0, 0) for ""."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds or 0), int(number or 0)


def _locked(file: Path) -> int:
    """A descriptor that holds the lock until it is closed."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_segment(path: Path) -> bool:
    return path.suffix in (OPEN, SEALED)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unwritable(folder: Path, error: OSError) -> SpoolUnavailable:
    return SpoolUnavailable(
        f"events cannot be written to {folder}: {error.strerror or error}; free space there, or name another folder "
        "in STILLROOM_SPOOL. Nothing of this batch was accepted: send it again under the same key"
    )
