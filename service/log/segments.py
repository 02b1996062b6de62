"""One file of the spool: batches in frames, with notes beside it that say how far they were handed on.

NAME.open is being written, NAME.seg is complete. NAME.shipped says where in Redis's log its batches are, NAME.learnt
in which Redis people's histories have them, NAME.exported that an export has them all. These notes are hints: without
them the batches are only handed on once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from service.log.frames import frame, n_bytes_between, read_frames
from service.log.private import open_private, write_private
from service.log.records import SpooledBatch

OPEN, SEALED, SHIPPED, MERGED, EXPORTED = ".open", ".seg", ".shipped", ".learnt", ".exported"

Note = TypeVar("Note")

FIRST_BYTES = 4096
"""If the first batch is longer than what was read, this many more bytes are read, then twice as many, and so on.
Reading all the rest for the first batch alone would cost as much as the whole segment."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(SpooledBatch)


class ShippedNote(msgspec.Struct, frozen=True):
    """incarnation: the Redis that has the batches. last_id: in the events' stream. at: Unix seconds."""

    incarnation: str
    last_id: str
    at: float


class MergedNote(msgspec.Struct, frozen=True):
    """world: the Redis whose histories have the batches."""

    world: str


class Place(NamedTuple):
    """Where a batch lies, until its segment is rewritten."""

    segment: Segment
    start: int
    end: int
    n_rewrites: int

    @property
    def is_valid(self) -> bool:
        """Whether the batch is still there."""
        return self.segment.n_rewrites == self.n_rewrites


class ReadBatch(NamedTuple):
    """A batch, and where in the file it ends."""

    batch: SpooledBatch
    end: int


@dataclass(eq=False)
class Segment:
    """end: bytes that are safely on disk. shipped_to: up to where Redis's log has them. note: where in the log they
    are. n_rewrites: counts rewrites of the file, since they change places in it.

    merged_to: up to where histories have the batches. merged_in: the Redis of these histories. merged_ahead: batches
    beyond that which histories have too, their ends by their starts. is_set_aside: somebody's history could not be
    written, so the whole segment is merged again after a restart.
    """

    path: Path
    end: int
    shipped_to: int = 0
    note: ShippedNote | None = None
    n_rewrites: int = 0
    merged_to: int = 0
    merged_in: str = ""
    merged_ahead: dict[int, int] = field(default_factory=dict)
    is_set_aside: bool = False

    @property
    def is_sealed(self) -> bool:
        """Whether nothing is appended any more."""
        return self.path.suffix == SEALED

    @property
    def is_shipped(self) -> bool:
        """Whether Redis has all of it."""
        return self.shipped_to >= self.end

    @property
    def is_merged(self) -> bool:
        """Whether histories have all of it."""
        return self.merged_to >= self.end

    @property
    def is_exported(self) -> bool:
        """Whether an export has all of it."""
        return self.path.with_suffix(EXPORTED).exists()

    def read(self, start: int, n_bytes: int | None = None) -> list[ReadBatch]:
        """Read whole batches from start on, about n_bytes of them but at least one; None reads all."""
        with self.path.open("rb") as file:
            file.seek(start)
            left = self.end - start
            data = file.read(left if n_bytes is None else min(left, n_bytes))
            found = list(decode_batches(data, start))
            while not found and len(data) < left:  # the first batch is longer than what was read
                data += file.read(min(left - len(data), max(len(data), FIRST_BYTES)))
                found = list(islice(decode_batches(data, start), 1))
        return found

    def seal(self) -> None:
        """Complete the file: nothing more will be appended."""
        sealed = self.path.with_suffix(SEALED)
        self.path.rename(sealed)
        self.path = sealed
        self.write_notes()

    def write_notes(self) -> None:
        """Note beside a complete file that it is shipped, and merged, as soon as it is."""
        if not self.is_sealed:
            return
        if self.is_shipped and self.note is not None:
            write_private(self.path.with_suffix(SHIPPED), _ENCODER.encode(self.note))
        if self.is_merged and self.merged_in and not self.is_set_aside:
            write_private(self.path.with_suffix(MERGED), _ENCODER.encode(MergedNote(self.merged_in)))

    def merged(self, start: int, end: int, world: str) -> None:
        """Note that histories in this Redis have the batches from start to end."""
        if self.merged_in != world:
            self.unmerge()
            self.merged_in = world
        self.merged_ahead[start] = end
        while self.merged_to in self.merged_ahead:
            self.merged_to = self.merged_ahead.pop(self.merged_to)
        if self.is_merged:
            self.write_notes()

    def unmerge(self) -> None:
        """Note that histories may not have the batches any more."""
        self.merged_to, self.merged_in = 0, ""
        self.merged_ahead.clear()
        self.path.with_suffix(MERGED).unlink(missing_ok=True)

    def unship(self) -> None:
        """Note that Redis's log may not have the batches any more."""
        self.shipped_to, self.note = 0, None
        self.path.with_suffix(SHIPPED).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the file and its notes, because its batches are elsewhere."""
        for suffix in (SHIPPED, MERGED, EXPORTED):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def session_ids(self, user_id: str) -> set[str]:
        """Return visits that this person's events name; none if the file cannot be read."""
        with suppress(OSError):
            data = self.path.read_bytes()
            if user_id.encode() in data:
                events = (event for batch, _ in decode_batches(data, 0) for event in batch.events)
                return {each.session_id for each in events if each.user_id == user_id and each.session_id}
        return set()

    def erase(self, key: str, is_covered: Callable[[int], bool]) -> int:
        """Remove a person's or visit's events; return how many there were. The segment must be sealed.

        is_covered: whether an event that was received at a moment, Unix milliseconds, must go.
        """
        data = self.path.read_bytes()
        if key.removeprefix("\0").encode() not in data:
            return 0
        n_events, kept = 0, bytearray()
        for batch, _ in decode_batches(data, 0):
            events = [
                event
                for event in batch.events
                if event.person_key != key or not is_covered(event.received_ms)
            ]
            n_events += len(batch.events) - len(events)
            kept += frame(_ENCODER.encode(msgspec.structs.replace(batch, events=events)))
        if n_events:
            self._replace(bytes(kept))
        return n_events

    def _replace(self, data: bytes) -> None:
        is_shipped, is_merged = self.is_shipped, self.is_merged
        write_in_place_of(self.path, data)
        self.n_rewrites += 1
        self.end = len(data)
        self.shipped_to = self.end if is_shipped else 0
        self.merged_to = self.end if is_merged else 0
        self.merged_ahead.clear()


def load_segment(path: Path) -> tuple[Segment, int, int]:
    """Load and seal a segment that a worker left; also return how many bytes of a torn tail were cut off, and how
    many before it are damaged.
    """
    data = path.read_bytes()
    end = 0
    for found in read_frames(data):
        end = found.end
    n_torn, n_damaged = len(data) - end, n_bytes_between(data[:end])
    if n_torn:
        os.truncate(path, end)
    segment = Segment(path, end)
    if not segment.is_sealed:
        segment.seal()
    note = _read_note(segment.path.with_suffix(SHIPPED), ShippedNote)
    if note is not None:
        segment.note, segment.shipped_to = note, end
    merged = _read_note(segment.path.with_suffix(MERGED), MergedNote)
    if merged is not None:
        segment.merged_in, segment.merged_to = merged.world, end
    return segment, n_torn, n_damaged


def decode_batches(data: bytes, offset: int) -> Iterator[ReadBatch]:
    """Yield the batches of data, which begins at offset of its file. Records of another version are skipped."""
    for payload, end in read_frames(data):
        try:
            yield ReadBatch(_DECODER.decode(payload), offset + end)
        except msgspec.ValidationError:
            continue


def write_in_place_of(path: Path, data: bytes) -> None:
    """Replace a file in one step that a crash cannot interrupt."""
    temporary = path.with_suffix(".tmp")
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's renames and new files durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_note(path: Path, kind: type[Note]) -> Note | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
