"""The blob of a person: what goes in comes out, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import read_bundle
from models.history import Event, History
from models.vocabulary import id_key
from service.histories.stored import (
    HEADER_BYTES,
    MAX_STORED_EVENTS,
    BlobCorrupt,
    StoredEvents,
    StoredPerson,
    decode_person,
    encode_person,
)
from service.serving import ServingBundle
from tests.support.bundles import tiny_bundle


def stored(*events: tuple[int, int]) -> StoredEvents:
    """Views of items by key and time."""
    keys, times = zip(*events, strict=True) if events else ((), ())
    return StoredEvents(
        np.array(keys, np.uint64), np.array(times, np.uint32), np.zeros(len(events), np.uint8)
    )


EVENTS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=20)


@given(
    events=EVENTS, factors=st.lists(st.floats(-100, 100, width=16), max_size=8), tag=st.integers(0, 2**64 - 1)
)
def test_what_is_encoded_is_decoded(events: list[tuple[int, int]], factors: list[float], tag: int) -> None:
    person = StoredPerson(stored(*events), np.array(factors, np.float16) if factors else None, tag)
    read = decode_person(encode_person(person))
    assert np.array_equal(read.events.keys, person.events.keys)
    assert np.array_equal(read.events.times, person.events.times)
    assert np.array_equal(read.events.kinds, person.events.kinds)
    assert read.tag == tag
    assert (read.vector is None) == (person.vector is None)
    assert read.vector is None or np.array_equal(read.vector, np.array(factors, np.float16))


BLOB = encode_person(StoredPerson(stored((1, 10), (2, 20)), np.ones(4, np.float16), 7))


@pytest.mark.parametrize("position", range(len(BLOB)))
def test_any_changed_byte_is_noticed(position: int) -> None:
    changed = bytearray(BLOB)
    changed[position] ^= 0x41
    with pytest.raises(BlobCorrupt):
        decode_person(bytes(changed))


@pytest.mark.parametrize("blob", [b"", b"x", BLOB[:HEADER_BYTES], BLOB[:-1], BLOB + b"\0", b"\0" * 500])
def test_truncated_and_foreign_values_are_noticed(blob: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        decode_person(blob)


def test_merging_keeps_each_item_once_at_its_latest_event() -> None:
    merged = stored((1, 10), (2, 20), (3, 30)).merged(stored((1, 25), (4, 30)))
    assert merged.keys.tolist() == [2, 1, 3, 4]
    assert merged.times.tolist() == [20, 25, 30, 30]


def test_merging_with_nothing_changes_nothing() -> None:
    events = stored((1, 10), (2, 20))
    assert events.merged(StoredEvents.empty()).keys.tolist() == [1, 2]
    assert StoredEvents.empty().merged(events).keys.tolist() == [1, 2]


def test_only_the_most_recent_events_are_kept() -> None:
    events = stored(*((key, key) for key in range(MAX_STORED_EVENTS + 5))).merged(StoredEvents.empty())
    assert events.keys.tolist() == list(range(5, MAX_STORED_EVENTS + 5))


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path)))


def test_history_and_stored_events_are_the_same_events(serving: ServingBundle) -> None:
    history = History.from_events([Event(3, 100, 1), Event(0, 200, 2)])
    events = StoredEvents.from_history(history, serving.item_keys)
    assert events.keys.tolist() == [id_key("item-3"), id_key("item-0")]
    read = events.to_history(serving)
    assert read.item_indices.tolist() == [3, 0]
    assert read.times.tolist() == [100, 200]
    assert read.kinds.tolist() == [1, 2]


def test_items_that_the_bundle_does_not_know_stay_stored_but_are_not_read(serving: ServingBundle) -> None:
    events = stored((id_key("gone"), 5), (id_key("item-3"), 6))
    assert events.to_history(serving).item_indices.tolist() == [3]


def test_vector_of_another_bundle_is_not_used(serving: ServingBundle) -> None:
    vector = np.ones(serving.student.n_factors, np.float16)
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag).vector_for(serving) is not None
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag + 1).vector_for(serving) is None
    assert StoredPerson(StoredEvents.empty(), vector[:1], serving.tag).vector_for(serving) is None
