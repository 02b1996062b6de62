"""The term by hand: what few events say of few neighbours."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from models.cooccurrence import (
    N_DECAYS,
    N_OWN_DECAYS,
    Boosts,
    Cooccurrence,
    event_weights,
    index_dtype,
)
from models.history import SECONDS_PER_DAY, Event, EventKind, History, encode_histories

DAY = int(SECONDS_PER_DAY)
TERM = Cooccurrence(
    neighbour_items=np.array([[0, 0], [1, 2], [2, 0], [0, 0]], np.uint16),
    neighbour_weights=np.array([[0, 0], [1, 2], [4, 0], [8, 16]], np.float32),
    neighbour_scales=np.ones(4, np.float32),
    event_decays=np.zeros(N_DECAYS, np.float32),
    own_weights=np.zeros(4, np.float32),
    own_decays=np.zeros(N_OWN_DECAYS, np.float32),
)
"""Item 0 says 1 of item 1 and 2 of item 2; item 1 says 4 of item 2; item 2 says 8 and 16 of item 0."""


def boosts_of(term: Cooccurrence, *histories: History) -> list[list[float]]:
    found: list[list[float]] = term.boosts(encode_histories(histories)).dense(3).tolist()
    return found


def decays_of(*first: float) -> npt.NDArray[np.float32]:
    """Event decays that begin with these."""
    return np.pad(np.array(first, np.float32), (0, N_DECAYS - len(first)))


def people(*events: tuple[int, int]) -> History:
    return History.from_events(Event(item, time) for item, time in events)


def test_boost_is_the_sum_over_events_and_entries() -> None:
    assert boosts_of(TERM, people((0, 1), (1, 2)), people((2, 1)), History.empty()) == [
        [0, 1, 6],
        [24, 0, 0],
        [0, 0, 0],
    ]


def test_each_row_has_its_scale() -> None:
    quantized = dataclasses.replace(
        TERM,
        neighbour_weights=TERM.neighbour_weights.astype(np.int8),
        neighbour_scales=np.array([1, 0.5, 2, 1], np.float32),
    )
    assert boosts_of(quantized, people((0, 1), (1, 2))) == [[0, 0.5, 9]]


@pytest.mark.parametrize(
    ("decays", "expected"),
    [
        ((1.0, 0.0, 0.0), [1, 1 / 2, 1 / 3]),
        ((0.0, 2.0, 0.0), [1, 1, 1 / 16]),
        ((0.0, 0.0, np.log(5)), [5, 5, 1]),
    ],
    ids=["position", "gap", "last visit"],
)
def test_older_events_count_less_by_position_by_gap_and_outside_the_last_visit(
    decays: tuple[float, float, float], expected: list[float]
) -> None:
    encoded = encode_histories([people((0, 0), (1, 3 * DAY), (2, 3 * DAY))])
    found = event_weights(encoded, decays_of(*decays))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("gap_seconds", "is_last_visit"), [(0, True), (DAY // 2, True), (DAY // 2 + 60, False)]
)
def test_last_visit_ends_with_a_pause_of_half_a_day(gap_seconds: int, is_last_visit: bool) -> None:
    encoded = encode_histories([people((0, 0), (1, gap_seconds))])
    found = event_weights(encoded, decays_of(0, 0, 1))
    assert (found[0, 1] > 1) == is_last_visit


def test_nothing_is_added_to_anybody_without_neighbours() -> None:
    none = dataclasses.replace(
        TERM, neighbour_items=np.zeros((4, 0), np.uint16), neighbour_weights=np.zeros((4, 0), np.float32)
    )
    assert boosts_of(none, people((0, 1))) == Boosts.none(1).dense(3).tolist() == [[0, 0, 0]]


def test_a_kind_that_says_more_and_happened_more_often_counts_more() -> None:
    views, purchases = Event(0, 0, EventKind.VIEW), [Event(1, 0), Event(1, DAY)]
    decays = decays_of(0, 0, 0, 1)
    decays[4 + EventKind.VIEW] = np.log(0.1)
    found = event_weights(encode_histories([History.from_events([views, *purchases])]), decays)
    np.testing.assert_allclose(found, [[2.0, 0.1]], rtol=1e-5)  # the newest first


def test_an_own_item_gets_its_weight_and_what_was_done_with_it() -> None:
    own_decays = np.zeros(N_OWN_DECAYS, np.float32)
    own_decays[:3] = (2.0, 5.0, 1.0)
    own_decays[3 + EventKind.VIEW] = -1.0
    own = dataclasses.replace(
        TERM,
        neighbour_weights=np.zeros((4, 2), np.float32),
        own_weights=np.array([9, 10, 20, 30], np.float32),
        own_decays=own_decays,
    )
    history = History.from_events([Event(0, 0), Event(0, 1), Event(2, 3 * DAY, EventKind.VIEW)])
    expected = [10 - 2 * np.log1p(3 - 1 / DAY) + np.log(2), 0, 30 + 5 - 1]
    np.testing.assert_allclose(boosts_of(own, history, History.empty()), [expected, [0, 0, 0]], rtol=1e-5)


def test_arrays_survive_a_round_trip() -> None:
    again = Cooccurrence.from_arrays(TERM.arrays())
    assert all(
        one is other for one, other in zip(TERM.arrays().values(), again.arrays().values(), strict=True)
    )


@pytest.mark.parametrize(("n_items", "name"), [(1, "uint16"), (65_536, "uint16"), (65_537, "int32")])
def test_indices_take_two_bytes_while_they_fit(n_items: int, name: str) -> None:
    dtype = index_dtype(n_items)
    assert dtype == name
    assert np.iinfo(dtype).max >= n_items - 1
