"""Frames records in a file, so that what a crash left half-written is noticed and skipped.

A frame is a mark, the payload's length and its crc32, then the payload. After damage, the next whole frame is found
by its mark. An incomplete tail was never acknowledged to anybody.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MARK = b"\xa5SR\x01"
_HEADER = struct.Struct("<4sII")
MAX_PAYLOAD_BYTES = 64 * 2**20


class Frame(NamedTuple):
    """A payload, and where in the data its frame ends."""

    payload: bytes
    end: int


def frame(payload: bytes) -> bytes:
    """Frame a payload. Raises ValueError for one that is too long to be read back."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"a record of {len(payload):,} bytes; at most {MAX_PAYLOAD_BYTES:,} fit into a frame"
        )
    return _HEADER.pack(MARK, len(payload), zlib.crc32(payload)) + payload


def read_frames(data: bytes, start: int = 0) -> Iterator[Frame]:
    """Yield the whole frames of data from start on; whatever lies between and after them is skipped."""
    while (start := data.find(MARK, start)) >= 0:
        found = _frame_at(data, start)
        if found is None:
            start += 1
        else:
            yield found
            start = found.end


def n_bytes_between(data: bytes) -> int:
    """Count the bytes of data that are in no whole frame: damage, and what a crash left half-written."""
    n_whole = sum(_HEADER.size + len(found.payload) for found in read_frames(data))
    return len(data) - n_whole


def _frame_at(data: bytes, start: int) -> Frame | None:
    if start + _HEADER.size > len(data):
        return None
    _, length, checksum = _HEADER.unpack_from(data, start)
    begin = start + _HEADER.size
    payload = data[begin : begin + length]
    if len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    return Frame(payload, begin + length)
