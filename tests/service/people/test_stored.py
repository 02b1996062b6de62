"""What is kept of a person: the same, however their events were portioned, repeated and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundles.bundle import read_bundle
from models.history import MAX_COUNT, Event, EventKind, History
from models.removals import REMOVAL, RETURN, standing
from models.vocabulary import id_key
from service.bundles.serving import ServingBundle
from service.people.blobs import decode_person, encode_person
from service.people.stored import (
    MAX_LASTING_EVENTS,
    MAX_PASSING_EVENTS,
    Occurrence,
    StoredEvents,
    StoredPerson,
    short_keys,
)
from tests.support.bundles import tiny_bundle
from tests.support.people import keys_of, views

VIEW, CLICK, CART, PURCHASE, RATING, DISLIKE = EventKind

Did = tuple[int, int, int]
"""Item, kind, second."""

SECONDS = st.integers(1_000, 1_003)
ARRIVALS_MS = (1_000_000, 1_700_000_000_000)
"""When what happened in these seconds arrives: at once, or decades later."""

DID = st.tuples(st.integers(0, 2), st.sampled_from([*map(int, EventKind), REMOVAL]), SECONDS)


def is_of_the_cart(did: Did) -> bool:
    return did[1] in (CART, REMOVAL)


@st.composite
def lists_of_events(draw: st.DrawFn) -> list[Did]:
    """Only carts and removals may come twice in one second: all others would say nothing new."""
    events = draw(st.lists(DID, max_size=20))
    return [did for place, did in enumerate(events) if is_of_the_cart(did) or did not in events[:place]]


@st.composite
def portions(draw: st.DrawFn) -> list[list[Did]]:
    """A list of events cut into requests."""
    events = draw(lists_of_events())
    cuts = sorted(draw(st.sets(st.integers(0, len(events)), max_size=6)) | {0, len(events)})
    return [events[start:end] for start, end in pairwise(cuts)]


def packed(events: Sequence[Did], received_ms: int) -> StoredEvents:
    return StoredEvents.of(
        Occurrence((item + 1) << 19, kind, time, received_ms) for item, kind, time in events
    )


def merged(
    requests: Sequence[Sequence[Did]], again: Sequence[int] = (), first_ms: int = ARRIVALS_MS[0]
) -> StoredEvents:
    """Requests merged one after the other, through Redis; then some of them once more. first_ms: of their arrival."""
    taught = [packed(events, first_ms + number) for number, events in enumerate(requests)]
    known = StoredEvents.empty()
    for each in [*taught, *(taught[number] for number in again)]:
        known = decode_person(encode_person(StoredPerson(known.merged(each)), "user-1"), "user-1").events
    return known


def shown(events: StoredEvents) -> list[Did]:
    """What a bundle that knows all items is to see."""
    items = (events.keys >> np.uint64(19)).astype(np.int32) - 1
    are_shown = events.are_shown(items)
    history = events.as_history(items if are_shown is None else items[are_shown], are_shown)
    return list(
        zip(history.item_indices.tolist(), history.kinds.tolist(), history.times.tolist(), strict=True)
    )


def replayed(events: Sequence[Did], max_count: int) -> list[Did]:
    """Walked by time and then by arrival: what is left, of each item and kind the last moments."""
    left: list[Did] = []
    for item, kind, time in sorted(events, key=lambda did: did[2]):
        if kind == REMOVAL:
            left = [did for did in left if did[:2] != (item, CART)]
        else:
            left = [did for did in left if did != (item, kind, time)]
            left.append((item, kind, time))
    return [
        did
        for place, did in enumerate(left)
        if sum(later[:2] == did[:2] for later in left[place + 1 :]) < max_count
    ]


@given(requests=portions(), first_ms=st.sampled_from(ARRIVALS_MS), max_count=st.integers(1, 4))
def test_history_is_that_of_replaying_all_events_however_they_were_portioned(
    requests: list[list[Did]], first_ms: int, max_count: int
) -> None:
    replay = replayed([did for request in requests for did in request], max_count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("models.history.MAX_COUNT", max_count)
        assert shown(merged(requests, first_ms=first_ms)) == replay


@given(requests=portions(), data=st.data())
def test_what_is_merged_again_adds_nothing(requests: list[list[Did]], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.integers(0, len(requests) - 1), max_size=5)) if requests else []
    once, twice = merged(requests), merged(requests, again)
    assert encode_person(StoredPerson(twice), "") == encode_person(StoredPerson(once), "")


@given(lists_of_events())
def test_history_is_that_of_the_rule_of_training(events: list[Did]) -> None:
    items, kinds, times = np.array(events, np.int64).reshape(-1, 3).T
    stand = standing(items, kinds.astype(np.uint8), times, np.arange(len(events)))
    past = (
        History.from_events(
            Event(*did)
            for did in ((item, time, kind) for item, kind, time in np.array(events)[stand].tolist())
        )
        if events
        else History.empty()
    )
    live = shown(merged([[did] for did in events]))
    assert counted(History.from_events(Event(item, time, kind) for item, kind, time in live)) == counted(past)


def counted(history: History) -> list[tuple[int, int, int, int]]:
    """What the student reads: item, second, kind and count of each item."""
    once, counts = history.counted()
    columns = (once.item_indices, once.times, once.kinds, counts)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([[(0, PURCHASE, 1000)], [(0, CART, 1001)], [(0, REMOVAL, 1002)]], [(0, PURCHASE, 1000)]),
        ([[(0, PURCHASE, 1000), (0, CART, 1000), (0, REMOVAL, 1000)]], [(0, PURCHASE, 1000)]),
        ([[(0, VIEW, 1000)], [(0, CART, 1000)], [(0, REMOVAL, 1000)]], [(0, VIEW, 1000)]),
        ([[(0, REMOVAL, 1002)], [(0, CART, 1001)]], []),  # the cart event came late
        ([[(0, REMOVAL, 1000)], [(0, CART, 1000)]], [(0, CART, 1000)]),
        ([[(0, CART, 1000), (0, REMOVAL, 1000), (0, CART, 1000)]], [(0, CART, 1000)]),
        ([[(0, CART, 1000)], [(0, REMOVAL, 1000)], [(0, CART, 1000)]], [(0, CART, 1000)]),
        ([[(0, CART, 1000)], [(0, CART, 1001)], [(0, REMOVAL, 1002)]], []),
        ([[(0, CART, 1000)], [(0, CART, 1002)], [(0, REMOVAL, 1001)]], [(0, CART, 1002)]),
        ([[(0, PURCHASE, 1000)], [(0, VIEW, 1001)]], [(0, PURCHASE, 1000), (0, VIEW, 1001)]),
    ],
)
def test_removal_takes_back_the_cart_and_nothing_else(requests: list[list[Did]], expected: list[Did]) -> None:
    assert shown(merged(requests)) == expected


def test_cart_that_is_merged_again_after_its_removal_stays_removed() -> None:
    """Of one second, so that only the moment of arrival tells them apart."""
    assert shown(merged([[(0, CART, 1000)], [(0, REMOVAL, 1000)]], again=[0])) == []


def many(kind: int, n_events: int, start: int) -> StoredEvents:
    return StoredEvents.of(Occurrence((start + n) << 19, kind, start + n, 0) for n in range(n_events))


def test_purchases_outlive_any_number_of_views() -> None:
    bought, seen = many(PURCHASE, 3, 1), many(VIEW, 5 * MAX_PASSING_EVENTS, 10_000)
    known = bought.merged(seen)
    assert keys_of(known)[:3] == [1, 2, 3]
    assert len(known) == 3 + MAX_PASSING_EVENTS
    rated = many(RATING, 2, 5)
    assert keys_of(seen.merged(rated))[:2] == [5, 6]


def test_only_the_most_recent_events_are_kept() -> None:
    bought = many(PURCHASE, MAX_LASTING_EVENTS + 5, 1)
    assert keys_of(bought) == list(range(6, MAX_LASTING_EVENTS + 6))
    seen = many(VIEW, MAX_PASSING_EVENTS + 5, 1)
    assert keys_of(seen) == list(range(6, MAX_PASSING_EVENTS + 6))
    both = bought.merged(seen)
    assert len(both) == MAX_LASTING_EVENTS + MAX_PASSING_EVENTS
    assert len(decode_person(encode_person(StoredPerson(both), "a"), "a").events) == len(both)


@given(requests=portions(), max_lasting=st.integers(1, 3), max_passing=st.integers(1, 3))
def test_portions_do_not_matter_at_the_bounds_either(
    requests: list[list[Did]], max_lasting: int, max_passing: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("service.people.stored.MAX_LASTING_EVENTS", max_lasting)
        patched.setattr("service.people.stored.MAX_PASSING_EVENTS", max_passing)
        one_by_one = merged([[did] for request in requests for did in request])
        assert shown(merged(requests)) == shown(one_by_one)


def test_merging_keeps_the_last_moments_of_each_item_and_kind() -> None:
    first = views((1, 10), (2, 20), (3, 30))
    merged = first.merged(views((1, 25), (4, 30), (2, 20)))
    assert keys_of(merged) == [1, 2, 1, 3, 4]
    assert merged.times.tolist() == [10, 20, 25, 30, 30]
    often = first.merged(views(*((1, 100 + number) for number in range(MAX_COUNT))))
    assert keys_of(often) == [2, 3] + [1] * MAX_COUNT


@pytest.mark.parametrize("kind", [DISLIKE, RETURN])
def test_dislikes_and_returns_last_as_purchases_do(kind: int) -> None:
    known = many(kind, 3, 1).merged(many(VIEW, 5 * MAX_PASSING_EVENTS, 10_000))
    assert keys_of(known)[:3] == [1, 2, 3]


def test_merging_with_nothing_changes_nothing() -> None:
    events = views((1, 10), (2, 20))
    assert keys_of(events.merged(StoredEvents.empty())) == [1, 2]
    assert keys_of(StoredEvents.empty().merged(events)) == [1, 2]


def seen(events: StoredEvents, serving: ServingBundle) -> History:
    """What this bundle is to see of them."""
    item_indices = events.item_indices(serving)
    are_shown = events.are_shown(item_indices)
    return events.as_history(item_indices if are_shown is None else item_indices[are_shown], are_shown)


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path)))


def test_history_and_stored_events_are_the_same_events(serving: ServingBundle) -> None:
    history = History.from_events([Event(3, 100, 1), Event(0, 200, 2)])
    events = StoredEvents.from_history(history, serving.item_keys)
    assert [int(key) >> 19 for key in events.keys] == [id_key("item-3") >> 19, id_key("item-0") >> 19]
    for read in (
        seen(events, serving),
        seen(decode_person(encode_person(StoredPerson(events), "a"), "a").events, serving),
    ):
        assert read.item_indices.tolist() == [3, 0]
        assert read.times.tolist() == [100, 200]
        assert read.kinds.tolist() == [1, 2]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([*map(int, EventKind)])), max_size=20
    )
)
def test_history_of_a_bundle_is_shown_as_the_student_was_measured_on_it(events: list[Did]) -> None:
    history = History.from_events(Event(*did) for did in events)
    keys = np.arange(1, 5, dtype=np.uint64) << np.uint64(19)
    read = shown(StoredEvents.from_history(history, keys))
    assert counted(History.from_events(Event(item, time, kind) for item, kind, time in read)) == counted(
        history
    )


def test_items_that_the_bundle_does_not_know_stay_stored_but_are_not_read(serving: ServingBundle) -> None:
    keys = short_keys(np.array([id_key("gone"), id_key("item-3")], np.uint64))
    events = replace(views((1, 5), (2, 6)), keys=keys)
    assert events.item_indices(serving).tolist() == [-1, 3]
    assert seen(events, serving).item_indices.tolist() == [3]
    assert seen(events, serving).times.tolist() == [6]
    bought = StoredEvents.of(
        [Occurrence(id_key("item-3"), PURCHASE, 7, 0), Occurrence(id_key("new"), VIEW, 8, 0)]
    )
    assert seen(events.merged(bought), serving).kinds.tolist() == [VIEW, PURCHASE]


def test_vector_of_another_bundle_is_not_used(serving: ServingBundle) -> None:
    vector = np.ones(serving.student.n_factors, np.float16)
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag).vector_for(serving) is not None
    assert StoredPerson(StoredEvents.empty(), vector, serving.tag + 1).vector_for(serving) is None
    assert StoredPerson(StoredEvents.empty(), vector[:1], serving.tag).vector_for(serving) is None
