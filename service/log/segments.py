"""One file of the spool: batches in frames, and beside it what became of them.

NAME.open is being written, NAME.seg is complete. NAME.shipped says where in Redis's log its batches are, NAME.learnt
in which Redis people's histories hold them, NAME.exported that an export has them all; these are hints, and without
them its batches are only handed on once more.
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
"""Of a batch that is longer than what was to be read; then twice as many, and so on. To read all that is left, for
the first one alone, would cost what the whole segment costs."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(SpooledBatch)


class ShippedNote(msgspec.Struct, frozen=True):
    """incarnation: of the Redis that has the batches. last_id: of the events' stream. at: Unix seconds."""

    incarnation: str
    last_id: str
    at: float


class MergedNote(msgspec.Struct, frozen=True):
    """world: of the Redis whose histories hold the batches."""

    world: str


class Place(NamedTuple):
    """Where a batch lies, until its segment is written anew."""

    segment: Segment
    start: int
    end: int
    n_rewrites: int

    @property
    def is_valid(self) -> bool:
        """It is still there."""
        return self.segment.n_rewrites == self.n_rewrites


class ReadBatch(NamedTuple):
    """A batch, and where in the file it ends."""

    batch: SpooledBatch
    end: int


@dataclass(eq=False)
class Segment:
    """end: bytes that are safely on disk. shipped_to: up to where Redis has them. note: where in Redis they are.
    n_rewrites: raised when the file is written anew, as places in it change with that.

    merged_to: up to where people's histories have them. merged_in: in which Redis. merged_ahead: batches behind that
    which they have too, where each begins and ends. is_set_aside: somebody's history could not be written, so after a
    restart all of it is merged again.
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
        """Nothing is added to it any more."""
        return self.path.suffix == SEALED

    @property
    def is_shipped(self) -> bool:
        """Redis has it all."""
        return self.shipped_to >= self.end

    @property
    def is_merged(self) -> bool:
        """People's histories have it all."""
        return self.merged_to >= self.end

    @property
    def is_exported(self) -> bool:
        """An export has it all."""
        return self.path.with_suffix(EXPORTED).exists()

    def read(self, start: int, n_bytes: int | None = None) -> list[ReadBatch]:
        """The whole batches from start on, about n_bytes of them and at least one; None for all."""
        with self.path.open("rb") as file:
            file.seek(start)
            left = self.end - start
            data = file.read(left if n_bytes is None else min(left, n_bytes))
            found = list(decode_batches(data, start))
            while not found and len(data) < left:  # the first one is longer than that
                data += file.read(min(left - len(data), max(len(data), FIRST_BYTES)))
                found = list(islice(decode_batches(data, start), 1))
        return found

    def seal(self) -> None:
        """Nothing more will come."""
        sealed = self.path.with_suffix(SEALED)
        self.path.rename(sealed)
        self.path = sealed
        self.write_notes()

    def write_notes(self) -> None:
        """Say beside the file that it is shipped, and merged, once it is and is complete."""
        if not self.is_sealed:
            return
        if self.is_shipped and self.note is not None:
            write_private(self.path.with_suffix(SHIPPED), _ENCODER.encode(self.note))
        if self.is_merged and self.merged_in and not self.is_set_aside:
            write_private(self.path.with_suffix(MERGED), _ENCODER.encode(MergedNote(self.merged_in)))

    def merged(self, start: int, end: int, world: str) -> None:
        """People's histories in this Redis have the batches from start to end."""
        if self.merged_in != world:
            self.unmerge()
            self.merged_in = world
        self.merged_ahead[start] = end
        while self.merged_to in self.merged_ahead:
            self.merged_to = self.merged_ahead.pop(self.merged_to)
        if self.is_merged:
            self.write_notes()

    def unmerge(self) -> None:
        """People's histories may not have it any more."""
        self.merged_to, self.merged_in = 0, ""
        self.merged_ahead.clear()
        self.path.with_suffix(MERGED).unlink(missing_ok=True)

    def unship(self) -> None:
        """Redis may not have it any more."""
        self.shipped_to, self.note = 0, None
        self.path.with_suffix(SHIPPED).unlink(missing_ok=True)

    def remove(self) -> None:
        """Its batches are elsewhere."""
        for suffix in (SHIPPED, MERGED, EXPORTED):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def session_ids(self, user_id: str) -> set[str]:
        """Visits that events of this person name; none where it cannot be read."""
        with suppress(OSError):
            data = self.path.read_bytes()
            if user_id.encode() in data:
                events = (event for batch, _ in decode_batches(data, 0) for event in batch.events)
                return {each.session_id for each in events if each.user_id == user_id and each.session_id}
        return set()

    def erase(self, key: str, is_covered: Callable[[int], bool]) -> int:
        """Take a person's or visit's events out; how many there were. The segment must be sealed.

        is_covered: whether what was received at a moment, Unix milliseconds, goes.
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
    """A segment that a worker left behind, sealed; how many bytes of a torn tail were cut off, and how many before it
    are damaged.
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
    """The batches of data, which begins at offset of its file. A record of another version's is passed over."""
    for payload, end in read_frames(data):
        try:
            yield ReadBatch(_DECODER.decode(payload), offset + end)
        except msgspec.ValidationError:
            continue


def write_in_place_of(path: Path, data: bytes) -> None:
    """Replace a file in one step that a crash cannot halve."""
    temporary = path.with_suffix(".tmp")
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new files of a folder last."""
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
