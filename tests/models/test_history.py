"""Events to the student's input: most recent first, each item once, no clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import (
    BY_STRENGTH,
    MAX_COUNT,
    MAX_EVENTS,
    EncodedHistories,
    Event,
    EventKind,
    History,
    encode_histories,
    encode_history,
    latest_places,
)

DAY = 86_400
PARTS = EncodedHistories._fields

events_of_a_person = st.lists(
    st.builds(Event, st.integers(0, 9), st.integers(-(10**10), 10**10), st.sampled_from(EventKind)),
    max_size=30,
)


def history(*item_indices: int) -> History:
    """Items touched one a day, in this order."""
    return History.from_events(Event(item_index, day * DAY) for day, item_index in enumerate(item_indices))


def test_events_are_sorted_by_time_and_keep_their_order_within_a_second() -> None:
    sorted_ = History.from_events([Event(1, 20), Event(2, 10), Event(3, 20), Event(4, 10)])
    assert sorted_.item_indices.tolist() == [2, 4, 1, 3]
    assert sorted_.times.tolist() == [10, 10, 20, 20]


def test_arrays_of_a_history_have_their_types() -> None:
    made = history(1, 2)
    assert [str(part.dtype) for part in (made.item_indices, made.times, made.kinds)] == [
        "int32",
        "int64",
        "uint8",
    ]


def test_later_events_are_merged_by_time_and_follow_earlier_ones_of_the_same_second() -> None:
    known = History.from_events([Event(1, 10), Event(2, 30)])
    session = History.from_events([Event(3, 20), Event(4, 30)])
    assert known.extended(session).item_indices.tolist() == [1, 3, 2, 4]


def test_extending_by_nothing_changes_nothing() -> None:
    known = history(1, 2)
    assert known.extended(History.empty()) is known


@pytest.mark.parametrize(
    ("n_events", "expected"), [(0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (9, [1, 2, 3])]
)
def test_last_events_are_the_most_recent_ones(n_events: int, expected: list[int]) -> None:
    assert history(1, 2, 3).last(n_events).item_indices.tolist() == expected


def test_distinct_keeps_the_latest_event_of_the_strongest_kind_of_each_item() -> None:
    touched = History.from_events(
        [
            Event(1, 10, EventKind.PURCHASE),
            Event(2, 20, EventKind.CART),
            Event(1, 30, EventKind.PURCHASE),
            Event(1, 40, EventKind.VIEW),
        ]
    ).distinct()
    assert touched.item_indices.tolist() == [2, 1]
    assert touched.times.tolist() == [20, 30]
    assert touched.kinds.tolist() == [EventKind.CART, EventKind.PURCHASE]


@given(events_of_a_person)
def test_an_item_counts_at_the_moments_of_its_strongest_kind(events: list[Event]) -> None:
    touched, counts = History.from_events(events).counted()
    moments: dict[int, dict[int, set[int]]] = {}
    for event in events:
        moments.setdefault(event.item_index, {}).setdefault(event.kind, set()).add(event.time)
    strongest = {item: max(kinds, key=BY_STRENGTH.index) for item, kinds in moments.items()}
    expected = {
        item: (kind, max(moments[item][kind]), min(len(moments[item][kind]), MAX_COUNT))
        for item, kind in strongest.items()
    }
    columns = (touched.kinds.tolist(), touched.times.tolist(), counts.tolist())
    assert dict(zip(touched.item_indices.tolist(), zip(*columns, strict=True), strict=True)) == expected
    assert (np.diff(touched.times) >= 0).all()


def test_views_do_not_displace_more_than_half_of_what_is_stronger() -> None:
    bought = [Event(item, item) for item in range(10)]
    viewed = [Event(item, item, EventKind.VIEW) for item in range(10, 30)]
    assert encode_history(History.from_events([*bought, *viewed]), 8).item_rows.tolist() == [
        *(30, 29, 28, 27),
        *(10, 9, 8, 7),
    ]
    assert encode_history(History.from_events(viewed), 8).item_rows.tolist() == list(range(30, 22, -1))
    few = encode_history(History.from_events([*bought[:2], *viewed]), 8).item_rows.tolist()
    assert few == [30, 29, 28, 27, 26, 25, 2, 1]


def test_no_more_than_the_last_moments_count_or_are_kept() -> None:
    often = History.from_events(Event(1, day * DAY) for day in range(MAX_COUNT + 3))
    assert often.counted()[1].tolist() == [MAX_COUNT]
    kept = latest_places(np.zeros(len(often), np.int64), often.times)
    assert kept.tolist() == list(range(3, MAX_COUNT + 3))


def test_how_often_is_read_as_a_logarithm() -> None:
    bought = [Event(1, day * DAY) for day in range(3)]
    encoded = encode_history(History.from_events([*bought, Event(2, 0, EventKind.VIEW)]))
    np.testing.assert_allclose(encoded.log_counts, np.log([3, 1]), rtol=1e-6)


@given(events_of_a_person)
def test_what_is_kept_of_each_item_and_kind_are_its_last_moments(events: list[Event]) -> None:
    known = History.from_events(events)
    registers = known.item_indices.astype(np.int64) << 3 | known.kinds
    kept = latest_places(registers, known.times)
    moments: dict[int, set[int]] = {}
    for register, time in zip(registers.tolist(), known.times.tolist(), strict=True):
        moments.setdefault(register, set()).add(time)
    expected = {
        (register, time) for register, times in moments.items() for time in sorted(times)[-MAX_COUNT:]
    }
    found = list(zip(registers[kept].tolist(), known.times[kept].tolist(), strict=True))
    assert sorted(found) == sorted(expected)
    assert (np.diff(kept) > 0).all()


def test_history_without_an_item_holds_everything_else() -> None:
    assert history(1, 2, 1, 3).without_item(1).item_indices.tolist() == [2, 3]


def test_most_recent_event_comes_first() -> None:
    assert encode_histories([history(4, 5, 6)]).item_rows.tolist() == [[7, 6, 5]]


def test_shorter_histories_are_padded_with_zeros() -> None:
    encoded = encode_histories([history(4, 5, 6), history(7), History.empty()])
    assert encoded.item_rows.tolist() == [[7, 6, 5], [8, 0, 0], [0, 0, 0]]
    assert encoded.event_kinds.tolist() == [[3, 3, 3], [3, 0, 0], [0, 0, 0]]
    assert (encoded.gap_log_days[1:] == 0).all()


def test_first_item_is_not_padding() -> None:
    assert encode_histories([history(0)]).item_rows.tolist() == [[1]]


def test_gaps_count_days_before_the_latest_event() -> None:
    ages = History.from_events([Event(1, 0), Event(2, 9 * DAY), Event(3, 10 * DAY), Event(4, 10 * DAY)])
    gaps = encode_histories([ages]).gap_log_days
    np.testing.assert_allclose(gaps, np.log1p([[0, 0, 1, 10]]), rtol=1e-6)


def test_kinds_stay_with_their_items() -> None:
    mixed = History.from_events([Event(1, 0, EventKind.VIEW), Event(2, 1, EventKind.RATING)])
    assert encode_histories([mixed]).event_kinds.tolist() == [[EventKind.RATING, EventKind.VIEW]]


def test_only_the_most_recent_events_are_read() -> None:
    assert encode_histories([history(1, 2, 3, 4)], max_events=2).item_rows.tolist() == [[5, 4]]


def test_repeated_items_do_not_use_up_the_events_that_are_read() -> None:
    assert encode_histories([history(1, 2, 3, 3, 3)], max_events=2).item_rows.tolist() == [[4, 3]]


def test_bundles_default_number_of_events_is_read() -> None:
    assert encode_histories([history(*range(MAX_EVENTS + 5))]).item_rows.shape == (1, MAX_EVENTS)


@pytest.mark.parametrize(("people", "shape"), [([], (0, 1)), ([History.empty()], (1, 1))])
def test_nothing_known_still_has_one_column(people: list[History], shape: tuple[int, int]) -> None:
    assert [part.shape for part in encode_histories(people)] == [shape] * len(PARTS)


def test_encoded_types_are_what_the_graph_takes() -> None:
    encoded = encode_histories([history(1)])
    assert [str(part.dtype) for part in (encoded.item_rows, encoded.gap_log_days, encoded.event_kinds)] == [
        "int64",
        "float32",
        "int64",
    ]


@given(st.lists(events_of_a_person, min_size=1, max_size=5))
def test_person_in_a_batch_is_encoded_as_alone(people: list[list[Event]]) -> None:
    histories = [History.from_events(events) for events in people]
    together = encode_histories(histories)
    for row, alone in enumerate(encode_histories([each]) for each in histories):
        length = alone.item_rows.shape[1]
        for part in EncodedHistories._fields:
            batched, single = getattr(together, part), getattr(alone, part)
            np.testing.assert_array_equal(batched[row, :length], single[0])
            assert not batched[row, length:].any()


@given(events_of_a_person, st.integers(-(10**10), 10**10))
def test_same_visits_at_another_date_are_encoded_the_same(events: list[Event], seconds: int) -> None:
    moved = [event._replace(time=event.time + seconds) for event in events]
    now, then = (encode_histories([History.from_events(each)]) for each in (events, moved))
    for left, right in zip(now, then, strict=True):
        np.testing.assert_array_equal(left, right)


@given(events_of_a_person)
def test_gaps_are_finite_and_do_not_fall(events: list[Event]) -> None:
    history_ = History.from_events(events)
    gaps = encode_histories([history_]).gap_log_days[0, : len(history_.distinct())]
    assert np.isfinite(gaps).all()
    assert (np.diff(gaps) >= 0).all()


def test_one_person_is_encoded_without_padding_and_in_small_types() -> None:
    encoded = encode_history(
        History.from_events([Event(4, 0, EventKind.VIEW), Event(2, DAY, EventKind.CART)])
    )
    np.testing.assert_array_equal(encoded.item_rows, np.array([3, 5], np.int32), strict=True)
    np.testing.assert_array_equal(encoded.gap_log_days, np.log1p(np.array([0, 1], np.float32)), strict=True)
    np.testing.assert_array_equal(encoded.event_kinds, np.array([2, 0], np.uint8), strict=True)


def test_one_person_of_whom_nothing_is_known_has_no_events() -> None:
    assert [len(getattr(encode_history(History.empty()), part)) for part in PARTS] == [0] * len(PARTS)


@given(events_of_a_person, st.integers(1, 12))
def test_person_alone_and_in_a_batch_have_the_same_numbers(events: list[Event], max_events: int) -> None:
    history_ = History.from_events(events)
    alone, batch = encode_history(history_, max_events), encode_histories([history_], max_events)
    n_events = min(max_events, len(history_.distinct()))
    assert len(alone.item_rows) == n_events
    for part in PARTS:
        np.testing.assert_array_equal(getattr(alone, part), getattr(batch, part)[0, :n_events])


def test_encoded_person_does_not_hold_on_to_the_arrays_they_came_from() -> None:
    touched = history(*range(50))
    encoded = encode_history(touched, max_events=3)
    assert all(getattr(encoded, part).base is None for part in PARTS)
