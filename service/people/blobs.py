"""A person as Redis holds them: events under shortened item keys, so that a new bundle can still read them.

Most people take nine bytes an event: six for key and kind, and for the time as many as the longest pause between two
events needs, three up to half a year; carts and removals take six more for their arrival. Times are exact. The
checksum covers whose blob it is, so a blob under another person's key is corrupt.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from models.history import N_KIND_CODES, EventKind
from models.removals import REMOVAL, RETURN
from service.people.stored import MAX_STORED_EVENTS, StoredEvents, StoredPerson, short_keys

MAGIC = b"SR"
FORMAT = 3
_HEADER = struct.Struct(
    "<2sBBIQIHH"
)  # magic, format, marks and gap bytes, crc32, vector tag, first time, n_events, n_factors
_CHECKSUM = slice(4, 8)
HEADER_BYTES = _HEADER.size

_ERASED = 0x80
"""The bundle's history of this person must not be used any more."""

_NOT_PLAIN = 0x40
"""Some item was removed or sent back, so which events stand has to be computed."""

_HAS_LAGS = 0x20
_GAP_BYTES_MASK = 0x07

_CODE_BYTES = 6
_LAG_BYTES = 6
_KIND_SHIFT = np.uint64(16)
_KIND_MASK = np.uint64(7)
_IS_KIND = np.isin(np.arange(N_KIND_CODES), (*EventKind, REMOVAL, RETURN))
"""(N_KIND_CODES,), whether each code that fits stands for a kind of event."""


class BlobCorrupt(ValueError):
    """A blob is not what `encode_person` wrote for this person; it counts as Redis away and is overwritten."""


class BlobOutdated(ValueError):
    """A blob has another version's format; it counts as a miss and is overwritten."""


def encode_person(person: StoredPerson, owner: str) -> bytes:
    """Pack a person: header, item keys with kinds, gaps between times, lags, vector; little-endian.

    owner: whose key it will stand under.
    """
    events = person.events
    codes = short_keys(events.keys) | (events.kinds.astype(np.uint64) & _KIND_MASK) << _KIND_SHIFT
    gaps = np.diff(events.times, prepend=events.times[:1])  # uint32, oldest first, the first one 0
    n_gap_bytes = max(1, (int(gaps.max(initial=0)).bit_length() + 7) // 8)
    body = _low_bytes(codes, 8, slice(8 - _CODE_BYTES, 8)) + _low_bytes(gaps, 4, slice(n_gap_bytes))
    marks = n_gap_bytes | (_ERASED if person.is_erased else 0)
    if not events.is_plain:
        marks |= _NOT_PLAIN
    if events.lags.any():
        marks |= _HAS_LAGS
        body += _low_bytes(events.lags[_have_lags(events.kinds)], 8, slice(_LAG_BYTES))
    first_time = int(events.times[0]) if len(events) else 0
    return _pack(marks, first_time, len(events), body, person.vector, person.tag, owner)


def with_vector(blob: bytes, vector: npt.NDArray[np.float16], tag: int, owner: str) -> bytes:
    """Return the same events with another vector. blob: written by `encode_person`."""
    _, _, marks, _, _, first_time, n_events, n_factors = _HEADER.unpack_from(blob)
    end = len(blob) - 2 * n_factors
    return _pack(marks, first_time, n_events, blob[HEADER_BYTES:end], vector, tag, owner)


def decode_person(blob: bytes, owner: str) -> StoredPerson:
    """Read what `encode_person` wrote for the same owner. Raises BlobCorrupt, and BlobOutdated for another version's
    format.
    """
    if len(blob) < HEADER_BYTES:
        raise BlobCorrupt(f"{len(blob)} bytes are fewer than a header's {HEADER_BYTES}")
    magic, format_, _, checksum, tag, _, _, n_factors = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise BlobCorrupt(f"it begins with {magic!r} instead of {MAGIC!r}")
    if format_ != FORMAT:
        raise BlobOutdated(f"format {format_} instead of {FORMAT}")
    _check_length(blob)
    if _checksum(blob, owner) != checksum:
        raise BlobCorrupt("the checksum differs: it was damaged, or is another person's")
    events = decode_events(blob)
    if len(events) and not _can_be(events):
        raise BlobCorrupt("its kinds or times cannot be")
    vector = np.frombuffer(blob, "<f2", n_factors, len(blob) - 2 * n_factors) if n_factors else None
    return StoredPerson(events, vector, tag, is_erased(blob))


def is_whole(blob: bytes, owner: str) -> bool:
    """Whether a blob's checksum matches its bytes and this owner."""
    return len(blob) >= HEADER_BYTES and _HEADER.unpack_from(blob)[3] == _checksum(blob, owner)


def is_erased(blob: bytes) -> bool:
    """Whether a blob, known to be whole, belongs to a person who was to be forgotten."""
    return blob[3] >= _ERASED


def decode_events(blob: bytes) -> StoredEvents:
    """Unpack the events of a blob that is known to be whole. Takes 5 µs."""
    _, _, marks, _, _, first_time, n_events, _ = _HEADER.unpack_from(blob)
    n_gap_bytes = marks & _GAP_BYTES_MASK
    codes = np.zeros((n_events, 8), np.uint8)
    codes[:, 8 - _CODE_BYTES :] = _rows(blob, HEADER_BYTES, n_events, _CODE_BYTES)
    gaps = np.zeros((n_events, 4), np.uint8)
    gaps[:, :n_gap_bytes] = _rows(blob, HEADER_BYTES + _CODE_BYTES * n_events, n_events, n_gap_bytes)
    keys = codes.view("<u8").ravel()
    times = gaps.view("<u4").ravel().cumsum(dtype=np.uint32)
    times += np.uint32(first_time)
    kinds = (keys >> _KIND_SHIFT & _KIND_MASK).astype(np.uint8)
    lags = np.zeros(n_events, np.uint64)
    if marks & _HAS_LAGS:
        have_lags = _have_lags(kinds)
        offset = HEADER_BYTES + (_CODE_BYTES + n_gap_bytes) * n_events
        rows = np.zeros((int(have_lags.sum()), 8), np.uint8)
        rows[:, :_LAG_BYTES] = _rows(blob, offset, len(rows), _LAG_BYTES)
        lags[have_lags] = rows.view("<u8").ravel()
    return StoredEvents(short_keys(keys), times, kinds, lags, not marks & _NOT_PLAIN)


def _check_length(blob: bytes) -> None:
    """Raise BlobCorrupt unless the blob is as long as its header says."""
    _, _, marks, _, _, _, n_events, n_factors = _HEADER.unpack_from(blob)
    n_gap_bytes = marks & _GAP_BYTES_MASK
    expected = HEADER_BYTES + n_events * (_CODE_BYTES + n_gap_bytes) + n_factors * 2
    if marks & _HAS_LAGS and len(blob) >= HEADER_BYTES + n_events * _CODE_BYTES:
        codes = np.frombuffer(blob, np.uint8, n_events * _CODE_BYTES, HEADER_BYTES)[::_CODE_BYTES]
        expected += _LAG_BYTES * int(_have_lags(codes & np.uint8(_KIND_MASK)).sum())
    if len(blob) != expected or not 1 <= n_gap_bytes <= 4 or n_events > MAX_STORED_EVENTS:
        raise BlobCorrupt(f"{len(blob)} bytes instead of {expected} for {n_events} events")


def _can_be(events: StoredEvents) -> bool:
    """Whether all kinds are known and times do not overflow. A valid checksum proves neither: whoever can write to
    Redis can compute one.
    """
    are_known = _IS_KIND[events.kinds].all()
    is_as_said = not (events.is_plain and np.isin(events.kinds, (REMOVAL, RETURN)).any())
    return bool(are_known and is_as_said and (events.times[1:] >= events.times[:-1]).all())


def _have_lags(kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return (kinds == EventKind.CART) | (kinds == REMOVAL)


def _pack(
    marks: int,
    first_time: int,
    n_events: int,
    events: bytes,
    vector: npt.NDArray[np.float16] | None,
    tag: int,
    owner: str,
) -> bytes:
    n_factors = 0 if vector is None else len(vector)
    blob = bytearray(_HEADER.pack(MAGIC, FORMAT, marks, 0, tag, first_time, n_events, n_factors))
    blob += events
    if vector is not None:
        blob += vector.tobytes()
    struct.pack_into("<I", blob, _CHECKSUM.start, _checksum(blob, owner))
    return bytes(blob)


def _checksum(blob: bytes | bytearray, owner: str) -> int:
    """Checksum everything but the checksum itself, together with the owner."""
    view = memoryview(blob)
    before = zlib.crc32(view[: _CHECKSUM.start], zlib.crc32(owner.encode()))
    return zlib.crc32(view[_CHECKSUM.stop :], before)


def _low_bytes(values: npt.NDArray[np.unsignedinteger], width: int, kept: slice) -> bytes:
    """Return some bytes of each little-endian value of `width` bytes, value after value."""
    little = values.astype(f"<u{width}")
    return little.view(np.uint8).reshape(-1, width)[:, kept].tobytes()


def _rows(blob: bytes, offset: int, n_rows: int, width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(blob, np.uint8, n_rows * width, offset).reshape(n_rows, width)
