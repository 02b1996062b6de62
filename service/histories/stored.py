"""A person as Redis holds them: events under 64-bit item keys, so a new bundle can still read them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import History
from models.student import Floats
from service.serving import ServingBundle

MAX_STORED_EVENTS = 1000
MAGIC = b"SRH\x01"
_HEADER = struct.Struct("<4sIHHIQ")  # magic, crc32 of the rest, n_events, n_factors, padding, vector tag
HEADER_BYTES = _HEADER.size
_TIME_LIMIT = 2**32 - 1


@dataclass(frozen=True)
class StoredEvents:
    """Events oldest first, each item once, at its latest event; at most `MAX_STORED_EVENTS`.

    keys: (n_events,) uint64, `models.vocabulary.id_key`. times: (n_events,) uint32, Unix seconds.
    kinds: (n_events,) uint8, `EventKind` codes.
    """

    keys: npt.NDArray[np.uint64]
    times: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.keys)

    @staticmethod
    def empty() -> StoredEvents:
        """Nobody has seen this person."""
        return StoredEvents(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint8))

    @staticmethod
    def from_history(history: History, item_keys: npt.NDArray[np.uint64]) -> StoredEvents:
        """item_keys: (n_items,) by item index."""
        times = np.clip(history.times, 0, _TIME_LIMIT).astype(np.uint32)
        return StoredEvents(item_keys[history.item_indices], times, history.kinds)

    def merged(self, later: StoredEvents) -> StoredEvents:
        """Both, by time; on equal times `later` counts as later. Each item once, the most recent 1,000."""
        keys = np.concatenate([self.keys, later.keys])
        times = np.concatenate([self.times, later.times])
        kinds = np.concatenate([self.kinds, later.kinds])
        order = np.argsort(times, kind="stable")
        _, first_from_end = np.unique(keys[order][::-1], return_index=True)
        keep = order[np.sort(len(order) - 1 - first_from_end)][-MAX_STORED_EVENTS:]
        return StoredEvents(keys[keep], times[keep], kinds[keep])

    def to_history(self, serving: ServingBundle) -> History:
        """The events whose items this bundle knows."""
        indices = serving.items.vocabulary.indices_of_keys(self.keys)
        is_known = indices >= 0
        return History(indices[is_known], self.times[is_known].astype(np.int64), self.kinds[is_known])


@dataclass(frozen=True)
class StoredPerson:
    """events, and the vector (n_factors,) float16 that the bundle with this tag made of them, or None."""

    events: StoredEvents
    vector: npt.NDArray[np.float16] | None = None
    tag: int = 0

    def vector_for(self, serving: ServingBundle) -> Floats | None:
        """The vector, if this bundle made it."""
        if self.vector is None or self.tag != serving.tag or len(self.vector) != serving.student.n_factors:
            return None
        return self.vector.astype(np.float32)


class BlobCorrupt(ValueError):
    """A blob is not what `encode_person` wrote; it counts as a miss and is overwritten."""


def encode_person(person: StoredPerson) -> bytes:
    """One value of bytes: header, keys, times, kinds, vector; little-endian."""
    events = person.events
    vector = np.zeros(0, np.float16) if person.vector is None else person.vector
    parts = [column.tobytes() for column in (events.keys, events.times, events.kinds, vector)]
    sizes = struct.pack("<HHIQ", len(events), len(vector), 0, person.tag)
    body = b"".join(parts)
    return MAGIC + struct.pack("<I", zlib.crc32(body, zlib.crc32(sizes))) + sizes + body


def decode_person(blob: bytes) -> StoredPerson:
    """Read back what `encode_person` wrote. Raises BlobCorrupt."""
    if len(blob) < HEADER_BYTES:
        raise BlobCorrupt(f"{len(blob)} bytes are fewer than a header's {HEADER_BYTES}")
    magic, checksum, n_events, n_factors, _, tag = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise BlobCorrupt(f"it begins with {magic!r} instead of {MAGIC!r}")
    expected = HEADER_BYTES + n_events * 13 + n_factors * 2
    if len(blob) != expected:
        raise BlobCorrupt(f"{len(blob)} bytes instead of {expected} for {n_events} events")
    if zlib.crc32(memoryview(blob)[8:]) != checksum:
        raise BlobCorrupt("the checksum differs")
    keys = np.frombuffer(blob, "<u8", n_events, HEADER_BYTES)
    times = np.frombuffer(blob, "<u4", n_events, HEADER_BYTES + 8 * n_events)
    kinds = np.frombuffer(blob, np.uint8, n_events, HEADER_BYTES + 12 * n_events)
    vector = np.frombuffer(blob, "<f2", n_factors, HEADER_BYTES + 13 * n_events)
    return StoredPerson(StoredEvents(keys, times, kinds), vector if n_factors else None, tag)
