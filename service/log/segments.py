"""One file of the spool: batches in frames, and beside it what became of them.

NAME.open is being written, NAME.seg is complete. NAME.shipped says where in Redis its batches are, NAME.exported that
an export holds them all; both are hints, and without them its batches are only handed on once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from service.log.frames import frame, n_bytes_between, read_frames
from service.log.records import SpooledBatch

OPEN, SEALED, SHIPPED, EXPORTED = ".open", ".seg", ".shipped", ".exported"

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(SpooledBatch)


class ShippedNote(msgspec.Struct, frozen=True):
    """incarnation: of the Redis that has the batches. last_id: of the events' stream. at: Unix seconds."""

    incarnation: str
    last_id: str
    at: float


class ReadBatch(NamedTuple):
    """A batch, and where in the file it ends."""

    batch: SpooledBatch
    end: int


@dataclass(eq=False)
class Segment:
    """end: bytes that are safely on disk. shipped_to: up to where Redis has them. note: where in Redis they are.
    n_rewrites: raised when the file is written anew, as places in it change with that.
    """

    path: Path
    end: int
    shipped_to: int = 0
    note: ShippedNote | None = None
    n_rewrites: int = 0

    @property
    def is_sealed(self) -> bool:
        """Nothing is added to it any more."""
        return self.path.suffix == SEALED

    @property
    def is_shipped(self) -> bool:
        """Redis has it all."""
        return self.shipped_to >= self.end

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
            if not found and len(data) < left:  # the first one is longer than that
                found = list(decode_batches(data + file.read(left - len(data)), start))[:1]
        return found

    def seal(self) -> None:
        """Nothing more will come."""
        sealed = self.path.with_suffix(SEALED)
        self.path.rename(sealed)
        self.path = sealed
        self.write_note()

    def write_note(self) -> None:
        """Say beside the file that it is shipped, once it is and is complete."""
        if self.is_sealed and self.is_shipped and self.note is not None:
            self.path.with_suffix(SHIPPED).write_bytes(_ENCODER.encode(self.note))

    def unship(self) -> None:
        """Redis may not have it any more."""
        self.shipped_to, self.note = 0, None
        self.path.with_suffix(SHIPPED).unlink(missing_ok=True)

    def remove(self) -> None:
        """Its batches are elsewhere."""
        for suffix in (SHIPPED, EXPORTED):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def erase(self, user_id: str, before_ms: int) -> int:
        """Take a person's events out that were received before; how many there were. The segment must be sealed."""
        data = self.path.read_bytes()
        if user_id.encode() not in data:
            return 0
        n_events, kept = 0, bytearray()
        for batch, _ in decode_batches(data, 0):
            events = [
                event for event in batch.events if event.user_id != user_id or event.received_ms >= before_ms
            ]
            n_events += len(batch.events) - len(events)
            kept += frame(_ENCODER.encode(msgspec.structs.replace(batch, events=events)))
        if n_events:
            self._replace(bytes(kept))
        return n_events

    def _replace(self, data: bytes) -> None:
        is_shipped = self.is_shipped
        write_in_place_of(self.path, data)
        self.n_rewrites += 1
        self.end = len(data)
        self.shipped_to = self.end if is_shipped else 0


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
    note = _read_note(segment.path.with_suffix(SHIPPED))
    if note is not None:
        segment.note, segment.shipped_to = note, end
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
    with temporary.open("wb") as file:
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


def _read_note(path: Path) -> ShippedNote | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=ShippedNote)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
