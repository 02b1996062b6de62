from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from models.history import SECONDS_PER_DAY, Event, History
from tests.support.blocks import N_ITEMS, block_dataset
from tests.support.shops import interactions_of
from training.base.errors import NotFinite
from training.data.dataset import interactions_until_now
from training.members import ease
from training.members.ease import EASE, VisitEASE, dense_weights, products_of_neighbours, sparse_weights
from training.members.item_items import similar_items

L2 = 3.0
Doubles = npt.NDArray[np.float64]


def crowd(n_people: int = 80, n_items: int = 12, seed: int = 0) -> sparse.csr_matrix:
    """People who take half of the items each, so that every two items were taken together."""
    rng = np.random.default_rng(seed)
    taken = rng.random((n_people, n_items)) < 0.5
    return sparse.csr_matrix(taken * rng.uniform(0.2, 1.0, taken.shape))


def gram_of(user_items: sparse.csr_matrix) -> Doubles:
    return (user_items.T @ user_items).toarray()


def columns_of(weights: sparse.csr_matrix) -> Iterator[tuple[int, npt.NDArray[np.int64], Doubles]]:
    """Each explained item, the items that explain it, and their weights."""
    dense = weights.toarray().astype(np.float64)
    for item in range(dense.shape[1]):
        explaining = np.flatnonzero(dense[:, item])
        yield item, explaining, dense[explaining, item]


def test_no_item_explains_itself() -> None:
    assert not dense_weights(crowd(), l2=L2).diagonal().any()


def test_weights_are_the_minimum_of_the_penalised_squared_error() -> None:
    """Off the diagonal, where nothing is constrained, the gradient (X'X + l2 I) B - X'X is zero."""
    user_items = crowd()
    gram, weights = gram_of(user_items), dense_weights(user_items, l2=L2).astype(np.float64)
    gradient = gram @ weights + L2 * weights - gram
    np.fill_diagonal(gradient, 0.0)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)


def test_weights_explain_the_targets_by_the_evidence() -> None:
    """Off the diagonal, the gradient (X'X + l2 I) B - X'Y is zero but for what the diagonal's constraint adds."""
    user_items, targets = crowd(), crowd(seed=1)
    weights = dense_weights(user_items, targets, l2=L2).astype(np.float64)
    gradient = (gram_of(user_items) + L2 * np.eye(12)) @ weights - (user_items.T @ targets).toarray()
    np.fill_diagonal(gradient, 0.0)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-4)
    assert not weights.diagonal().any()


def test_targets_that_are_the_evidence_change_nothing() -> None:
    user_items = crowd()
    again = dense_weights(user_items, user_items.copy(), l2=L2)
    np.testing.assert_allclose(again, dense_weights(user_items, l2=L2), atol=1e-5)


def test_both_ways_agree_on_targets_where_everything_is_a_neighbour() -> None:
    user_items, targets = crowd(), crowd(seed=1)
    by_neighbourhood = sparse_weights(user_items, targets, l2=L2, n_neighbours=11).toarray()
    np.testing.assert_allclose(
        by_neighbourhood, dense_weights(user_items, targets, l2=L2), rtol=1e-3, atol=1e-5
    )


def test_both_ways_agree_where_everything_is_a_neighbour() -> None:
    user_items = crowd()
    by_neighbourhood = sparse_weights(user_items, l2=L2, n_neighbours=11).toarray()
    np.testing.assert_allclose(by_neighbourhood, dense_weights(user_items, l2=L2), rtol=1e-4, atol=1e-6)


def test_few_neighbours_explain_an_item_as_well_as_they_can() -> None:
    user_items = crowd()
    gram, n_neighbours = gram_of(user_items), 4
    for item, explaining, weights in columns_of(sparse_weights(user_items, l2=L2, n_neighbours=n_neighbours)):
        assert len(explaining) == n_neighbours
        block = gram[np.ix_(explaining, explaining)]
        np.testing.assert_allclose(block @ weights + L2 * weights, gram[explaining, item], rtol=1e-5)


def test_the_neighbours_are_the_nearest_by_cosine() -> None:
    user_items = crowd()
    gram = gram_of(user_items)
    cosines = gram / np.sqrt(np.outer(gram.diagonal(), gram.diagonal())) - 2 * np.eye(len(gram))
    for item, explaining, _ in columns_of(sparse_weights(user_items, l2=L2, n_neighbours=4)):
        assert set(explaining) == set(np.argsort(-cosines[:, item])[:4])


def test_neighbourhoods_solved_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sparse_weights(crowd(), l2=L2, n_neighbours=5).toarray()
    monkeypatch.setattr(ease, "BLOCK_BYTES", 5 * 8 * 5**2)
    np.testing.assert_allclose(sparse_weights(crowd(), l2=L2, n_neighbours=5).toarray(), whole, rtol=1e-6)


def test_an_item_with_fewer_neighbours_than_others_is_explained_by_them_alone() -> None:
    pair = np.zeros((1, 13))
    pair[0, [1, 12]] = 1.0  # item 12 was taken once, with item 1, which was taken with all others too
    others = np.hstack([crowd().toarray(), np.zeros((80, 1))])
    user_items = sparse.csr_matrix(np.vstack([others, pair]))
    weights = sparse_weights(user_items, l2=L2, n_neighbours=5).toarray()[:, 12]
    expected = np.zeros(13)
    expected[1] = 1.0 / (gram_of(user_items)[1, 1] + L2)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_an_item_that_was_always_taken_alone_is_explained_by_nothing() -> None:
    user_items = sparse.csr_matrix(sparse.block_diag([crowd(), np.ones((1, 1))]))
    weights = sparse_weights(user_items, l2=L2, n_neighbours=5).toarray()
    assert not weights[-1].any()
    assert not weights[:, -1].any()


def test_a_singular_system_names_the_setting_to_raise() -> None:
    twins = sparse.csr_matrix(np.ones((1, 2)))
    with pytest.raises(NotFinite, match="raise l2"):
        dense_weights(twins, l2=1e-300)


def test_a_catalogue_beyond_the_bound_is_solved_by_neighbourhood() -> None:
    past = interactions_until_now(block_dataset())
    assert isinstance(EASE(max_dense_items=N_ITEMS + 1).fit(past, seed=0).item_items, np.ndarray)
    assert sparse.issparse(EASE(max_dense_items=N_ITEMS).fit(past, seed=0).item_items)


def test_a_history_counts_by_its_own_half_life() -> None:
    member = EASE(l2=10.0, fold_half_life=1.0).fit(interactions_until_now(block_dataset()), seed=0)
    older, newer = Event(0, 1), Event(1, 2)
    both, first, second = member.score(
        [History.from_events(events) for events in ([older, newer], [older], [newer])]
    )
    np.testing.assert_allclose(both, 0.5 * first + second, rtol=1e-5)


def days(*visits: tuple[int, ...]) -> History:
    """One visit a day."""
    return History.from_events(
        Event(item, day * int(SECONDS_PER_DAY)) for day, items in enumerate(visits) for item in items
    )


VISITS = interactions_of(*[days((0, 1))] * 5, *[days((0,), (2,))] * 5, *[days((3,), (2,))] * 5, n_items=4)
"""Item 1 was taken with 0 in one visit, item 2 as often by the same people on another day."""


def test_one_visit_says_more_than_one_history() -> None:
    scores = VisitEASE(l2=1.0).fit(VISITS, seed=0).score([days((0,))])[0]
    assert scores[1] > scores[2] > 0.0


def test_without_weight_of_people_visits_explain_alone() -> None:
    scores = VisitEASE(l2=1.0, person_weight=0.0).fit(VISITS, seed=0).score([days((0,))])[0]
    assert scores[1] > 0.0 == scores[2]


def test_an_older_visit_counts_by_the_visit_decay() -> None:
    member = VisitEASE(l2=1.0, fold_half_life=1e6, visit_decay=0.25).fit(VISITS, seed=0)
    both, first, second = member.score([days((0,), (3,)), days((0,)), days((3,))])
    np.testing.assert_allclose(both, 0.25 * first + second, rtol=1e-4, atol=1e-7)


def test_without_decay_between_visits_the_last_one_speaks_alone() -> None:
    member = VisitEASE(l2=1.0, visit_decay=0.0).fit(VISITS, seed=0)
    both, last = member.score([days((0, 1), (3,)), days((3,))])
    np.testing.assert_allclose(both, last, atol=1e-7)


def test_both_kinds_lie_in_one_folder_side_by_side(tmp_path: Path) -> None:
    kinds = (EASE(l2=1.0).fit(VISITS, seed=0), VisitEASE(l2=1.0).fit(VISITS, seed=0))
    for member in kinds:
        member.save(tmp_path)
    for member in kinds:
        loaded = type(member).load(tmp_path)
        np.testing.assert_array_equal(loaded.score([days((0,))]), member.score([days((0,))]))


@pytest.mark.parametrize("rows_at_once", [5, 512])
def test_products_are_made_where_a_small_system_asks_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(ease, "ROWS_AT_ONCE", rows_at_once)
    user_items = crowd()
    nearest = similar_items(user_items, 2, shrinkage=0.0, popularity_power=0.5)
    systems = (nearest.toarray() != 0) | np.eye(nearest.shape[0], dtype=np.bool_)  # a row an explained item
    is_needed = (systems.T.astype(int) @ systems.astype(int)) > 0
    assert not is_needed.all()
    found = products_of_neighbours(user_items, nearest)
    np.testing.assert_allclose(found.toarray(), np.where(is_needed, gram_of(user_items), 0.0), rtol=1e-6)
    assert found.has_sorted_indices


def test_both_precisions_agree_and_the_condition_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    user_items = crowd().astype(np.float32)
    single = dense_weights(user_items, l2=L2)
    monkeypatch.setattr(ease, "MAX_SINGLE_CONDITION", 0.0)
    double = dense_weights(user_items, l2=L2)
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5)
    assert np.abs(single - double).max() > 0
    inverse = np.linalg.inv(gram_of(user_items.astype(np.float64)) + L2 * np.eye(double.shape[0]))
    exact = np.eye(len(inverse)) - inverse / inverse.diagonal()
    np.testing.assert_allclose(double, exact, atol=1e-7)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_few_entries_are_found_as_many_are(density: float) -> None:
    """Few of many entries are looked up by halving; the answers are those of the dense matrix."""
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((50, 50)) < density, rng.random((50, 50)), 0).astype(np.float32)
    dense[[0, 49]] = 0.0  # rows without entries at both ends
    dense[7] = 1.0
    matrix = sparse.csr_matrix(dense)
    for n_wanted in (1, 4, 2_000):
        rows, columns = rng.integers(0, 50, (2, n_wanted, 1))
        found = ease._entries(matrix, rows, columns)
        assert found.dtype == np.float32
        assert (found == dense[rows, columns]).all()
    edges = np.array([0, 7, 7, 49])
    assert (ease._searched(matrix, edges, np.array([0, 0, 49, 49])) == [0.0, 1.0, 1.0, 0.0]).all()
