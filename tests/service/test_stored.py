"""The blob of a person: what goes in comes out, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import read_bundle
from models.history import Event, EventKind, History
from models.vocabulary import id_key
from service.histories.stored import (
    HEADER_BYTES,
    KEY_BITS,
    MAX_STORED_EVENTS,
    BlobCorrupt,
    BlobOutdated,
    StoredEvents,
    StoredPerson,
    decode_person,
    encode_person,
    short_keys,
    with_vector,
)
from service.serving import ServingBundle
from tests.support.bundles import tiny_bundle


def stored(*events: tuple[int, int]) -> StoredEvents:
    """Views of items by key and time. Keys are small numbers here, in the bits that are kept."""
    keys, times = zip(*events, strict=True) if events else ((), ())
    return StoredEvents(
        np.array(keys, np.uint64) << np.uint64(64 - KEY_BITS),
        np.array(times, np.uint32),
        np.zeros(len(events), np.uint8),
    )


def keys_of(events: StoredEvents) -> list[int]:
    """The small numbers of `stored`."""
    return [int(key) >> 64 - KEY_BITS for key in events.keys]


EVENTS = st.lists(
    st.tuples(st.integers(0, 2**KEY_BITS - 1), st.integers(0, 2**32 - 1), st.sampled_from(EventKind)),
    max_size=20,
).map(lambda events: sorted(events, key=lambda event: event[1]))


def as_stored(events: list[tuple[int, int, int]]) -> StoredEvents:
    made = stored(*((key, time) for key, time, _ in events))
    return replace(made, kinds=np.array([kind for _, _, kind in events], np.uint8))


def is_same(left: StoredEvents, right: StoredEvents) -> bool:
    return all(
        np.array_equal(getattr(left, part), getattr(right, part)) for part in ("keys", "times", "kinds")
    )


@given(
    events=EVENTS, factors=st.lists(st.floats(-100, 100, width=16), max_size=8), tag=st.integers(0, 2**64 - 1)
)
def test_what_is_encoded_is_decoded(
    events: list[tuple[int, int, int]], factors: list[float], tag: int
) -> None:
    person = StoredPerson(as_stored(events), np.array(factors, np.float16) if factors else None, tag)
    read = decode_person(encode_person(person))
    assert is_same(read.events, person.events)
    assert read.tag == tag
    assert (read.vector is None) == (person.vector is None)
    assert read.vector is None or np.array_equal(read.vector, np.array(factors, np.float16))


@pytest.mark.parametrize(
    ("gap", "n_gap_bytes"), [(0, 1), (255, 1), (256, 2), (2**16, 3), (2**24, 4), (2**31, 4)]
)
def test_times_take_as_many_bytes_as_the_longest_pause(gap: int, n_gap_bytes: int) -> None:
    blob = encode_person(StoredPerson(stored((1, 7), (2, 7 + gap))))
    assert len(blob) == HEADER_BYTES + 2 * (6 + n_gap_bytes)
    assert decode_person(blob).events.times.tolist() == [7, 7 + gap]


def test_person_of_twenty_events_and_half_a_year_takes_nine_bytes_an_event() -> None:
    events = stored(*((key, 1_700_000_000 + key * 2**23) for key in range(20)))
    assert len(encode_person(StoredPerson(events, np.zeros(64, np.float16)))) == 24 + 20 * 9 + 64 * 2


@given(events=EVENTS, tag=st.integers(0, 2**64 - 1))
def test_new_vector_goes_with_the_same_events(events: list[tuple[int, int, int]], tag: int) -> None:
    vector = np.arange(4, dtype=np.float16)
    person = StoredPerson(as_stored(events), np.ones(2, np.float16), 3)
    expected = encode_person(replace(person, vector=vector, tag=tag))
    assert with_vector(encode_person(person), vector, tag) == expected
    assert with_vector(encode_person(StoredPerson(person.events)), vector, tag) == expected


BLOB = encode_person(StoredPerson(stored((1, 10), (2, 20)), np.ones(4, np.float16), 7))
FORMAT_POSITION = 2


@pytest.mark.parametrize("position", [each for each in range(len(BLOB)) if each != FORMAT_POSITION])
def test_any_changed_byte_is_noticed(position: int) -> None:
    changed = bytearray(BLOB)
    changed[position] ^= 0x41
    with pytest.raises(BlobCorrupt):
        decode_person(bytes(changed))


@pytest.mark.parametrize("format_", [1, 3, ord("H")])
def test_blob_of_another_version_is_told_from_a_corrupt_one(format_: int) -> None:
    with pytest.raises(BlobOutdated, match=f"format {format_}"):
        decode_person(BLOB[:FORMAT_POSITION] + bytes([format_]) + BLOB[FORMAT_POSITION + 1 :])


@pytest.mark.parametrize("n_gap_bytes", [0, 5])
def test_width_of_times_that_cannot_be_is_noticed(n_gap_bytes: int) -> None:
    blob = bytearray(encode_person(StoredPerson(StoredEvents.empty())))
    blob[3] = n_gap_bytes
    with pytest.raises(BlobCorrupt):
        decode_person(bytes(blob))


@pytest.mark.parametrize("blob", [b"", b"x", BLOB[:HEADER_BYTES], BLOB[:-1], BLOB + b"\0", b"\0" * 500])
def test_truncated_and_foreign_values_are_noticed(blob: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        decode_person(blob)


def test_merging_keeps_each_item_once_at_its_latest_event() -> None:
    merged = stored((1, 10), (2, 20), (3, 30)).merged(stored((1, 25), (4, 30)))
    assert keys_of(merged) == [2, 1, 3, 4]
    assert merged.times.tolist() == [20, 25, 30, 30]


def test_merging_with_nothing_changes_nothing() -> None:
    events = stored((1, 10), (2, 20))
    assert keys_of(events.merged(StoredEvents.empty())) == [1, 2]
    assert keys_of(StoredEvents.empty().merged(events)) == [1, 2]


def test_only_the_most_recent_events_are_kept() -> None:
    events = stored(*((key, key) for key in range(MAX_STORED_EVENTS + 5))).merged(StoredEvents.empty())
    assert keys_of(events) == list(range(5, MAX_STORED_EVENTS + 5))


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path)))


def test_history_and_stored_events_are_the_same_events(serving: ServingBundle) -> None:
    history = History.from_events([Event(3, 100, 1), Event(0, 200, 2)])
    events = StoredEvents.from_history(history, serving.item_keys)
    assert [int(key) >> 19 for key in events.keys] == [id_key("item-3") >> 19, id_key("item-0") >> 19]
    for read in (
        events.to_history(serving),
        decode_person(encode_person(StoredPerson(events))).events.to_history(serving),
    ):
        assert read.item_indices.tolist() == [3, 0]
        assert read.times.tolist() == [100, 200]
        assert read.kinds.tolist() == [1, 2]


def test_thousand_seen_items_are_all_kept() -> None:
    events = stored(*((key, key) for key in range(MAX_STORED_EVENTS)))
    assert keys_of(decode_person(encode_person(StoredPerson(events))).events) == list(
        range(MAX_STORED_EVENTS)
    )


def test_items_that_the_bundle_does_not_know_stay_stored_but_are_not_read(serving: ServingBundle) -> None:
    keys = short_keys(np.array([id_key("gone"), id_key("item-3")], np.uint64))
    events = replace(stored((0, 5), (0, 6)), keys=keys)
    assert events.item_indices(serving).tolist() == [-1, 3]
    assert events.to_history(serving).item_indices.tolist() == [3]
    assert events.to_history(serving).times.tolist() == [6]


def test_vector_of_another_bundle_is_not_used(serving: ServingBundle) -> None:
    vector = np.ones(serving.student.n_factors, np.float16)
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag).vector_for(serving) is not None
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag + 1).vector_for(serving) is None
    assert StoredPerson(StoredEvents.empty(), vector[:1], serving.tag).vector_for(serving) is None
