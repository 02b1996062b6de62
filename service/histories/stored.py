"""A person as Redis holds them: events under shortened item keys, so a new bundle can still read them.

Nine bytes an event for most people: six of key and kind, and as many of time as the longest pause between two
events needs, three up to half a year. Times are exact.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History
from models.student import Floats
from models.vocabulary import id_key
from service.histories.context import HistoryContext

MAX_STORED_EVENTS = 1000

KEY_BITS = 45
"""Of an item's 64-bit key, the highest ones are kept. Among a million items two share them with a probability of
1.4 %, and then events of the one count for the other; three more bits would cost a byte an event."""

MAGIC = b"SR"
FORMAT = 2
_HEADER = struct.Struct(
    "<2sBBIQIHH"
)  # magic, format, gap bytes and mark, crc32, vector tag, first time, n_events, n_factors
_CHECKED_FROM = 8  # magic and format are compared, gap bytes are in the length
HEADER_BYTES = _HEADER.size
_TIME_LIMIT = 2**32 - 1
_ERASED = 0x80
"""In the byte of gap bytes: the bundle's history of this person is not to be used any more."""
_CODE_BYTES = 6
_KIND_SHIFT = np.uint64(16)
_KIND_MASK = np.uint64(7)
_KEY_MASK = np.uint64(2**64 - 2 ** (64 - KEY_BITS))


class BlobCorrupt(ValueError):
    """A blob is not what `encode_person` wrote; it counts as a miss and is overwritten."""


class BlobOutdated(ValueError):
    """A blob has the format of another version of this code; it is a miss like any other and is overwritten."""


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Events oldest first, each item once, at its latest event; at most `MAX_STORED_EVENTS`.

    keys: (n_events,) uint64, the `KEY_BITS` highest bits of `models.vocabulary.id_key`, the others 0.
    times: (n_events,) uint32, Unix seconds. kinds: (n_events,) uint8, `EventKind` codes.
    """

    keys: npt.NDArray[np.uint64]
    times: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.keys)

    @staticmethod
    def empty() -> StoredEvents:
        """Nobody has seen this person."""
        return _NO_EVENTS

    @staticmethod
    def from_history(history: History, item_keys: npt.NDArray[np.uint64]) -> StoredEvents:
        """item_keys: (n_items,) by item index."""
        history = history.distinct().last(MAX_STORED_EVENTS)
        times = np.clip(history.times, 0, _TIME_LIMIT).astype(np.uint32)
        return StoredEvents(short_keys(item_keys[history.item_indices]), times, history.kinds)

    def merged(self, later: StoredEvents) -> StoredEvents:
        """Both, by time; on equal times `later` counts as later. Each item once, the most recent 1,000."""
        keys = np.concatenate([self.keys, later.keys])
        times = np.concatenate([self.times, later.times])
        kinds = np.concatenate([self.kinds, later.kinds])
        order = np.argsort(times, kind="stable")
        _, first_from_end = np.unique(keys[order][::-1], return_index=True)
        keep = order[np.sort(len(order) - 1 - first_from_end)][-MAX_STORED_EVENTS:]
        return StoredEvents(keys[keep], times[keep], kinds[keep])

    def without(
        self, kind: EventKind, keys: npt.NDArray[np.uint64], until: npt.NDArray[np.int64]
    ) -> StoredEvents:
        """Without the events of one kind with an item of these keys, full or short, up to its Unix second."""
        keep = np.ones(len(self.keys), np.bool_)
        for key, moment in zip(short_keys(keys), until, strict=True):
            keep &= (self.kinds != kind) | (self.keys != key) | (self.times > moment)
        return StoredEvents(self.keys[keep], self.times[keep], self.kinds[keep])

    def item_indices(self, serving: HistoryContext) -> npt.NDArray[np.int32]:
        """Each event's item in this bundle; -1 where it knows none."""
        return serving.indices_of_keys(self.keys, KEY_BITS)

    def to_history(self, serving: HistoryContext) -> History:
        """The events whose items this bundle knows."""
        return self.as_history(self.item_indices(serving))

    def as_history(self, item_indices: npt.NDArray[np.int32]) -> History:
        """The events whose item_indices (n_events,) are not -1."""
        if len(item_indices) and item_indices.min() >= 0:
            return History(item_indices, self.times.astype(np.int64), self.kinds)
        is_known = item_indices >= 0
        return History(item_indices[is_known], self.times[is_known].astype(np.int64), self.kinds[is_known])


_NO_EVENTS = StoredEvents(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint8))


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """events, and the vector (n_factors,) float16 that the bundle with this tag made of them, or None.

    is_erased: the person was to be forgotten, and these events came later; what bundles know of them does not count.
    """

    events: StoredEvents
    vector: npt.NDArray[np.float16] | None = None
    tag: int = 0
    is_erased: bool = False

    def vector_for(self, serving: HistoryContext) -> Floats | None:
        """The vector, if this bundle made it."""
        if self.vector is None or self.tag != serving.tag or len(self.vector) != serving.n_factors:
            return None
        return self.vector.astype(np.float32)


def short_keys(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """64-bit item keys as events are stored under; any shape."""
    return keys & _KEY_MASK


def short_key(item_id: str) -> int:
    """The same of one item's id."""
    return id_key(item_id) >> (64 - KEY_BITS) << (64 - KEY_BITS)


def encode_person(person: StoredPerson) -> bytes:
    """One value of bytes: header, item keys with kinds, gaps between times, vector; little-endian."""
    events = person.events
    codes = short_keys(events.keys) | (events.kinds.astype(np.uint64) & _KIND_MASK) << _KIND_SHIFT
    gaps = np.diff(events.times, prepend=events.times[:1])  # uint32, oldest first, the first one 0
    n_gap_bytes = max(1, (int(gaps.max(initial=0)).bit_length() + 7) // 8)
    body = _low_bytes(codes, 8, slice(8 - _CODE_BYTES, 8)) + _low_bytes(gaps, 4, slice(n_gap_bytes))
    first_time = int(events.times[0]) if len(events) else 0
    marked = n_gap_bytes | _ERASED if person.is_erased else n_gap_bytes
    return _pack(marked, first_time, len(events), body, person.vector, person.tag)


def with_vector(blob: bytes, vector: npt.NDArray[np.float16], tag: int) -> bytes:
    """The same events with another vector; blob: what `encode_person` wrote."""
    _, _, marked, _, _, first_time, n_events, _ = _HEADER.unpack_from(blob)
    end = HEADER_BYTES + n_events * (_CODE_BYTES + (marked & ~_ERASED))
    return _pack(marked, first_time, n_events, blob[HEADER_BYTES:end], vector, tag)


def decode_person(blob: bytes) -> StoredPerson:
    """Read back what `encode_person` wrote. Raises BlobCorrupt, and BlobOutdated for another version's."""
    if len(blob) < HEADER_BYTES:
        raise BlobCorrupt(f"{len(blob)} bytes are fewer than a header's {HEADER_BYTES}")
    magic, format_, marked, checksum, tag, _, n_events, n_factors = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise BlobCorrupt(f"it begins with {magic!r} instead of {MAGIC!r}")
    if format_ != FORMAT:
        raise BlobOutdated(f"format {format_} instead of {FORMAT}")
    n_gap_bytes = marked & ~_ERASED
    expected = HEADER_BYTES + n_events * (_CODE_BYTES + n_gap_bytes) + n_factors * 2
    if len(blob) != expected or not 1 <= n_gap_bytes <= 4:
        raise BlobCorrupt(f"{len(blob)} bytes instead of {expected} for {n_events} events")
    if _checksum(blob) != checksum:
        raise BlobCorrupt("the checksum differs")
    vector = np.frombuffer(blob, "<f2", n_factors, len(blob) - 2 * n_factors) if n_factors else None
    return StoredPerson(decode_events(blob), vector, tag, is_erased(blob))


def is_erased(blob: bytes) -> bool:
    """Whether a blob that is known to be whole is of a person who was to be forgotten."""
    return blob[3] >= _ERASED


def decode_events(blob: bytes) -> StoredEvents:
    """The events of a blob that is known to be whole. 5 µs."""
    _, _, marked, _, _, first_time, n_events, _ = _HEADER.unpack_from(blob)
    n_gap_bytes = marked & ~_ERASED
    codes = np.zeros((n_events, 8), np.uint8)
    codes[:, 8 - _CODE_BYTES :] = _rows(blob, HEADER_BYTES, n_events, _CODE_BYTES)
    gaps = np.zeros((n_events, 4), np.uint8)
    gaps[:, :n_gap_bytes] = _rows(blob, HEADER_BYTES + _CODE_BYTES * n_events, n_events, n_gap_bytes)
    keys = codes.view("<u8").ravel()
    times = gaps.view("<u4").ravel().cumsum(dtype=np.uint32)
    times += np.uint32(first_time)
    kinds = (keys >> _KIND_SHIFT & _KIND_MASK).astype(np.uint8)
    return StoredEvents(keys & _KEY_MASK, times, kinds)


def _pack(
    marked_gap_bytes: int,
    first_time: int,
    n_events: int,
    events: bytes,
    vector: npt.NDArray[np.float16] | None,
    tag: int,
) -> bytes:
    n_factors = 0 if vector is None else len(vector)
    blob = bytearray(_HEADER.pack(MAGIC, FORMAT, marked_gap_bytes, 0, tag, first_time, n_events, n_factors))
    blob += events
    if vector is not None:
        blob += vector.tobytes()
    struct.pack_into("<I", blob, 4, _checksum(blob))
    return bytes(blob)


def _checksum(blob: bytes | bytearray) -> int:
    return zlib.crc32(memoryview(blob)[_CHECKED_FROM:])


def _low_bytes(values: npt.NDArray[np.unsignedinteger], width: int, kept: slice) -> bytes:
    """Some bytes of each little-endian value of `width` bytes, value after value."""
    little = values.astype(f"<u{width}")
    return little.view(np.uint8).reshape(-1, width)[:, kept].tobytes()


def _rows(blob: bytes, offset: int, n_rows: int, width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(blob, np.uint8, n_rows * width, offset).reshape(n_rows, width)
