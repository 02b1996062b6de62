from __future__ import annotations

import numpy as np

from models.history import Event, History
from training.members.recency import recency_matrix


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


def test_the_newest_item_weighs_one_and_a_half_life_older_weighs_half() -> None:
    weights = recency_matrix([history(0, 1, 2, 3)], 5, half_life=2.0).toarray()[0]
    np.testing.assert_allclose(weights, [0.5**1.5, 0.5, 0.5**0.5, 1.0, 0.0])


def test_a_repeated_item_counts_once_at_its_latest_event() -> None:
    weights = recency_matrix([history(7, 1, 7)], 8, half_life=1.0).toarray()[0]
    assert weights[7] == 1.0
    assert weights[1] == 0.5


def test_an_infinite_half_life_weighs_all_alike() -> None:
    weights = recency_matrix([history(2, 0, 1)], 3, half_life=float("inf")).toarray()[0]
    np.testing.assert_array_equal(weights, [1.0, 1.0, 1.0])


def test_rows_follow_the_histories_and_an_empty_one_is_empty() -> None:
    matrix = recency_matrix([history(0), History.empty(), history(1)], 2, half_life=1.0)
    np.testing.assert_array_equal(matrix.toarray(), [[1, 0], [0, 0], [0, 1]])
