"""The term by hand: what few events say of few neighbours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.cooccurrence import Boosts, Cooccurrence, event_weights, index_dtype
from models.history import SECONDS_PER_DAY, Event, History, encode_histories

DAY = int(SECONDS_PER_DAY)
TERM = Cooccurrence(
    neighbour_items=np.array([[0, 0], [1, 2], [2, 0], [0, 0]], np.uint16),
    neighbour_weights=np.array([[0, 0], [1, 2], [4, 0], [8, 16]], np.float32),
    neighbour_scales=np.ones(4, np.float32),
    event_decays=np.zeros(3, np.float32),
)
"""Item 0 says 1 of item 1 and 2 of item 2; item 1 says 4 of item 2; item 2 says 8 and 16 of item 0."""


def boosts_of(term: Cooccurrence, *histories: History) -> list[list[float]]:
    found: list[list[float]] = term.boosts(encode_histories(histories)).dense(3).tolist()
    return found


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
    found = event_weights(encoded.gap_log_days, np.array(decays, np.float32))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("gap_seconds", "is_last_visit"), [(0, True), (DAY // 2, True), (DAY // 2 + 60, False)]
)
def test_last_visit_ends_with_a_pause_of_half_a_day(gap_seconds: int, is_last_visit: bool) -> None:
    encoded = encode_histories([people((0, 0), (1, gap_seconds))])
    found = event_weights(encoded.gap_log_days, np.array([0, 0, 1], np.float32))
    assert (found[0, 1] > 1) == is_last_visit


def test_nothing_is_added_to_anybody_without_neighbours() -> None:
    none = Cooccurrence(
        np.zeros((4, 0), np.uint16), np.zeros((4, 0), np.float32), TERM.neighbour_scales, TERM.event_decays
    )
    assert boosts_of(none, people((0, 1))) == Boosts.none(1).dense(3).tolist() == [[0, 0, 0]]


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
