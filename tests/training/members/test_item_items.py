from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from models.history import SECONDS_PER_DAY, Event, History
from training.members import item_items
from training.members.item_items import (
    similar_items,
    strongest_of_rows,
    visits_and_people,
)

PEOPLE = sparse.csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], np.float32))
"""Items 0, 1, 2, 3 have 3, 2, 1, 1 buyers; two took 0 with 1, one took 0 with 2, item 3 was always alone."""


def similarities(**settings: float) -> np.ndarray:
    chosen = {"shrinkage": 0.0, "popularity_power": 0.5, **settings}
    return similar_items(
        PEOPLE, 10, shrinkage=chosen["shrinkage"], popularity_power=chosen["popularity_power"]
    ).toarray()


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


def test_the_plain_similarity_is_the_cosine_without_the_diagonal() -> None:
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 2 / np.sqrt(3 * 2)
    expected[0, 2] = expected[2, 0] = 1 / np.sqrt(3 * 1)
    np.testing.assert_allclose(similarities(), expected, rtol=1e-6)


def test_shrinkage_is_added_to_the_denominator() -> None:
    shrunk = similarities(shrinkage=2.0)
    assert shrunk[0, 1] == pytest.approx(2 / (np.sqrt(6) + 2))
    assert shrunk[0, 2] == pytest.approx(1 / (np.sqrt(3) + 2))


def test_full_power_divides_by_the_scored_item_and_none_by_the_history_item() -> None:
    np.testing.assert_allclose(similarities(popularity_power=1.0)[0], [0, 2 / 2, 1 / 1, 0], rtol=1e-6)
    np.testing.assert_allclose(similarities(popularity_power=0.0)[0], [0, 2 / 3, 1 / 3, 0], rtol=1e-6)


def test_weights_count_by_their_product() -> None:
    halved = sparse.csr_matrix(np.array([[1.0, 0.5]], np.float32))
    similar = similar_items(halved, 1, shrinkage=1.0, popularity_power=0.5).toarray()
    assert similar[0, 1] == pytest.approx(0.5 / (1.0 * 0.5 + 1.0))


def test_events_of_negligible_weight_are_no_evidence() -> None:
    faded = sparse.csr_matrix(np.array([[1.0, 1e-40]], np.float32))
    assert similar_items(faded, 1, shrinkage=0.0, popularity_power=1.0).nnz == 0


def test_rows_made_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = similarities(shrinkage=1.0)
    monkeypatch.setattr(item_items, "ROWS_AT_ONCE", 3)
    np.testing.assert_array_equal(similarities(shrinkage=1.0), whole)


def test_only_the_strongest_of_a_row_stay_and_ties_go_to_the_lower_column() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, 3.0, 3.0, 3.0], [0.0, 0.0, 2.0, 0.0]]))
    np.testing.assert_array_equal(strongest_of_rows(matrix, 2).toarray(), [[0, 3, 3, 0], [0, 0, 2, 0]])
    assert matrix.nnz == 5, "the matrix given is as it was"


def test_visits_of_ones_stand_above_people_of_the_weight_given() -> None:
    own = History.from_events([Event(0, 0), Event(1, 60), Event(2, int(SECONDS_PER_DAY))])
    rows = visits_and_people([own, History.empty()], 3, half_life=1.0, person_weight=0.5)
    expected = np.array([[1, 1, 0], [0, 0, 1], [0.5 / 4, 0.5 / 2, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(rows.toarray(), expected)
