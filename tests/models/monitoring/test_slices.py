"""Which parts of the traffic a request belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from models.history import Event, History
from models.monitoring.slices import ALL, popularity_bounds, slices_of

RANKS = np.arange(100)


def history_of(*items: int) -> History:
    return History.from_events(Event(item, time) for time, item in enumerate(items))


@pytest.mark.parametrize(
    ("n_distinct", "band"),
    [
        (0, "history 0"),
        (1, "history 1-4"),
        (4, "history 1-4"),
        (5, "history 5-19"),
        (19, "history 5-19"),
        (20, "history 20+"),
    ],
)
def test_histories_are_parted_by_their_distinct_items(n_distinct: int, band: str) -> None:
    twice = [*range(n_distinct), *range(n_distinct)]
    assert slices_of(history_of(*twice), RANKS, (10.0, 20.0))[:2] == [ALL, band]


@pytest.mark.parametrize(
    ("rank", "band"),
    [(10, "popular items"), (11, "middling items"), (20, "middling items"), (21, "rare items")],
)
def test_an_items_rank_at_a_bound_belongs_below_it(rank: int, band: str) -> None:
    assert slices_of(history_of(rank), RANKS, (10.0, 20.0))[2] == band


def test_the_typical_item_is_the_median_one() -> None:
    assert slices_of(history_of(1, 15, 99), RANKS, (10.0, 20.0))[2] == "middling items"


def test_an_empty_history_has_no_popularity() -> None:
    assert slices_of(history_of(), RANKS, (10.0, 20.0)) == [ALL, "history 0"]


def test_bounds_part_histories_into_three_alike_in_size() -> None:
    histories = [history_of(item) for item in range(99)] + [history_of()]
    bounds = popularity_bounds(histories, RANKS)
    bands = [slices_of(history, RANKS, bounds)[2] for history in histories[:-1]]
    assert [bands.count(band) for band in ("popular items", "middling items", "rare items")] == [33, 33, 33]


def test_no_history_has_bounds_all_the_same() -> None:
    assert popularity_bounds([history_of()], RANKS) == (0.0, 0.0)
