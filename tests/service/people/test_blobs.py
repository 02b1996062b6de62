"""The blob of a person: what goes in comes out, and nothing else is taken for one, another person's least of all."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import EventKind
from models.removals import REMOVAL, RETURN
from service.people.blobs import (
    HEADER_BYTES,
    BlobCorrupt,
    BlobOutdated,
    decode_person,
    encode_person,
    is_erased,
    with_vector,
)
from service.people.stored import KEY_BITS, Occurrence, StoredEvents, StoredPerson
from tests.support.people import views

OWNER = "user-1"

Did = tuple[int, int, int, int]
"""Item, kind, second, milliseconds from then to its arrival."""

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2**KEY_BITS - 1),
        st.sampled_from([*map(int, EventKind), REMOVAL, RETURN]),
        st.integers(0, 2**32 - 1),
        st.integers(-400_000, 2**33),
    ),
    max_size=20,
)


def as_stored(events: list[Did]) -> StoredEvents:
    return StoredEvents.of(
        Occurrence(item << 64 - KEY_BITS, kind, time, 1000 * time + late) for item, kind, time, late in events
    )


def is_same(left: StoredEvents, right: StoredEvents) -> bool:
    parts = ("keys", "times", "kinds", "lags")
    return left.is_plain == right.is_plain and all(
        np.array_equal(getattr(left, part), getattr(right, part)) for part in parts
    )


@given(
    events=EVENTS,
    factors=st.lists(st.floats(-100, 100, width=16), max_size=8),
    tag=st.integers(0, 2**64 - 1),
    owner=st.text(max_size=10),
)
def test_what_is_encoded_is_decoded(events: list[Did], factors: list[float], tag: int, owner: str) -> None:
    person = StoredPerson(as_stored(events), np.array(factors, np.float16) if factors else None, tag)
    read = decode_person(encode_person(person, owner), owner)
    assert is_same(read.events, person.events)
    assert read.tag == tag
    assert (read.vector is None) == (person.vector is None)
    assert read.vector is None or np.array_equal(read.vector, np.array(factors, np.float16))


@given(events=EVENTS, owner=st.text(max_size=10), other=st.text(max_size=10))
def test_blob_of_another_person_is_no_blob_here(events: list[Did], owner: str, other: str) -> None:
    blob = encode_person(StoredPerson(as_stored(events)), owner)
    if owner != other:
        with pytest.raises(BlobCorrupt, match="another person's"):
            decode_person(blob, other)


@pytest.mark.parametrize(
    ("gap", "n_gap_bytes"), [(0, 1), (255, 1), (256, 2), (2**16, 3), (2**24, 4), (2**31, 4)]
)
def test_times_take_as_many_bytes_as_the_longest_pause(gap: int, n_gap_bytes: int) -> None:
    blob = encode_person(StoredPerson(views((1, 7), (2, 7 + gap))), OWNER)
    assert len(blob) == HEADER_BYTES + 2 * (6 + n_gap_bytes)
    assert decode_person(blob, OWNER).events.times.tolist() == [7, 7 + gap]


def test_person_of_twenty_events_and_half_a_year_takes_nine_bytes_an_event() -> None:
    events = views(*((key, 1_700_000_000 + key * 2**23) for key in range(20)))
    assert len(encode_person(StoredPerson(events, np.zeros(64, np.float16)), OWNER)) == 24 + 20 * 9 + 64 * 2


def test_cart_takes_six_bytes_more_where_its_arrival_is_known() -> None:
    known, unknown = (
        as_stored([(1, EventKind.CART, 1000, 5)]),
        as_stored([(1, EventKind.CART, 1000, -300_000)]),
    )
    sizes = [len(encode_person(StoredPerson(events), OWNER)) for events in (known, unknown)]
    assert sizes == [HEADER_BYTES + 7 + 6, HEADER_BYTES + 7]


@given(events=EVENTS, tag=st.integers(0, 2**64 - 1))
def test_new_vector_goes_with_the_same_events(events: list[Did], tag: int) -> None:
    vector = np.arange(4, dtype=np.float16)
    stored = as_stored(events)
    expected = encode_person(StoredPerson(stored, vector, tag), OWNER)
    for before in (StoredPerson(stored, np.ones(2, np.float16), 3), StoredPerson(stored)):
        assert with_vector(encode_person(before, OWNER), vector, tag, OWNER) == expected


def test_erased_person_is_told_from_others() -> None:
    assert is_erased(encode_person(StoredPerson(StoredEvents.empty(), is_erased=True), OWNER))
    assert not is_erased(encode_person(StoredPerson(StoredEvents.empty()), OWNER))


WITH_CARTS = as_stored([(1, 0, 10, 0), (1, 2, 20, 7), (2, REMOVAL, 30, 9)])
BLOB = encode_person(StoredPerson(WITH_CARTS, np.ones(4, np.float16), 7), OWNER)
FORMAT_POSITION, MARKS_POSITION = 2, 3


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("position", [each for each in range(len(BLOB)) if each != FORMAT_POSITION])
def test_any_changed_bit_is_noticed(position: int, bit: int) -> None:
    changed = bytearray(BLOB)
    changed[position] ^= 1 << bit
    with pytest.raises(BlobCorrupt):
        decode_person(bytes(changed), OWNER)


@pytest.mark.parametrize("format_", [1, 2, 4, ord("H")])
def test_blob_of_another_version_is_told_from_a_corrupt_one(format_: int) -> None:
    with pytest.raises(BlobOutdated, match=f"format {format_}"):
        decode_person(BLOB[:FORMAT_POSITION] + bytes([format_]) + BLOB[FORMAT_POSITION + 1 :], OWNER)


def signed(blob: bytearray) -> bytes:
    """With the checksum that belongs to it: whoever can write to Redis can make one."""
    before = zlib.crc32(blob[:4], zlib.crc32(OWNER.encode()))
    struct.pack_into("<I", blob, 4, zlib.crc32(blob[8:], before))
    return bytes(blob)


def test_the_checksum_of_these_tests_is_that_of_blobs() -> None:
    assert signed(bytearray(BLOB)) == BLOB


@pytest.mark.parametrize("n_gap_bytes", [0, 5, 6, 7])
def test_width_of_times_that_cannot_be_is_noticed(n_gap_bytes: int) -> None:
    blob = bytearray(encode_person(StoredPerson(StoredEvents.empty()), OWNER))
    blob[MARKS_POSITION] = n_gap_bytes
    with pytest.raises(BlobCorrupt):
        decode_person(signed(blob), OWNER)


@pytest.mark.parametrize("kind", [REMOVAL, RETURN])
def test_kind_that_cannot_be_is_noticed(kind: int) -> None:
    """What undoes others cannot be where every event is said to be shown: it would reach the model."""
    blob = bytearray(encode_person(StoredPerson(views((1, 10))), OWNER))
    blob[HEADER_BYTES] |= kind
    with pytest.raises(BlobCorrupt, match="kinds"):
        decode_person(signed(blob), OWNER)


def test_times_that_run_over_the_end_are_noticed() -> None:
    blob = bytearray(encode_person(StoredPerson(views((1, 2**32 - 2), (2, 2**32 - 1))), OWNER))
    blob[-1] = 9
    with pytest.raises(BlobCorrupt, match="times"):
        decode_person(signed(blob), OWNER)


def test_more_events_than_are_kept_are_noticed() -> None:
    header = bytearray(encode_person(StoredPerson(StoredEvents.empty()), OWNER))
    struct.pack_into("<H", header, 20, 2001)
    with pytest.raises(BlobCorrupt, match="2001 events"):
        decode_person(signed(header + bytes(7 * 2001)), OWNER)


@pytest.mark.parametrize("blob", [b"", b"x", BLOB[:HEADER_BYTES], BLOB[:-1], BLOB + b"\0", b"\0" * 500])
def test_truncated_and_foreign_values_are_noticed(blob: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        decode_person(blob, OWNER)


@given(st.binary(max_size=100), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1), st.integers(0, 255))
def test_no_signed_bytes_do_anything_but_be_read_or_refused(
    body: bytes, n_events: int, n_factors: int, marks: int
) -> None:
    head = struct.pack("<2sBBIQIHH", b"SR", 3, marks, 0, 0, 5, n_events % 12, n_factors % 8)
    try:
        person = decode_person(signed(bytearray(head + body)), OWNER)
    except BlobCorrupt:
        return
    assert len(person.events) == n_events % 12
