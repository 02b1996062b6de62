"""The kernel against numpy: what it finds, under which masks and with which boosts, flat and by lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.index import AllowedItems
from models.scan import (
    RESCORE_MARGIN,
    ScanQuery,
)
from tests.models.catalogues import (
    NO_EVENTS,
    assert_best,
    assert_equal,
    events_of,
    expected_scores,
    in_lists,
    indices,
    normal,
    random_catalogue,
    random_people,
    rows_of,
    term_of,
    with_vectors,
)


@pytest.mark.parametrize("n_factors", [1, 2, 3, 4, 5, 15, 16, 17, 20, 33, 64, 100, 1024])
@pytest.mark.parametrize("is_float", [False, True], ids=["int8", "float"])
def test_answer_is_the_best_of_the_catalogue_for_any_length_of_vector(
    kernel: str, n_factors: int, is_float: bool
) -> None:
    catalogue = random_catalogue(n_factors, 300, n_factors, is_float=is_float)
    asked = random_people(1, catalogue, 3)
    assert_best(catalogue.scan().top_k(asked, 20), expected_scores(catalogue, asked), 20)


@pytest.mark.parametrize("n_items", [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300, 1_000])
def test_answer_is_the_best_of_a_catalogue_of_any_size(kernel: str, n_items: int) -> None:
    catalogue = random_catalogue(n_items, n_items, 8)
    asked = random_people(2, catalogue, 3)
    for k in (1, 5, n_items, n_items + 3):
        assert_best(catalogue.scan().top_k(asked, k), expected_scores(catalogue, asked), k)


@pytest.mark.parametrize("n_neighbours", [0, 1, 5, 64])
@pytest.mark.parametrize("is_wide", [False, True], ids=["uint16", "int32"])
@pytest.mark.parametrize("is_float", [False, True], ids=["int8", "float"])
def test_events_add_what_their_neighbours_weigh(n_neighbours: int, is_wide: bool, is_float: bool) -> None:
    catalogue = random_catalogue(3, 200, 8, n_neighbours, is_wide=is_wide, is_float=is_float)
    asked = random_people(4, catalogue, 5)
    assert catalogue.cooccurrence.neighbour_items.dtype == (np.int32 if is_wide else np.uint16)
    assert_best(catalogue.scan().top_k(asked, 150), expected_scores(catalogue, asked), 150)


@pytest.mark.parametrize("n_people", [1, 2, 7, 8, 9, 17])
@pytest.mark.parametrize("n_lists", [0, 9])
def test_person_in_a_batch_is_answered_as_alone(kernel: str, n_people: int, n_lists: int) -> None:
    catalogue = random_catalogue(5, 700, n_lists=n_lists, n_probes=3)
    asked, scan = random_people(6, catalogue, n_people), catalogue.scan()
    together = scan.top_k(asked, 10)
    for row, person in enumerate(asked):
        assert_equal(rows_of(together, slice(row, row + 1)), scan.top_k([person], 10))


def test_score_that_is_no_number_is_not_among_the_best(kernel: str) -> None:
    """Numbers so large that a sum of them is infinity less infinity."""
    item_vectors = normal(np.random.default_rng(3), 200, 4)
    item_vectors[17] = [3e38, -3e38, 3e38, -3e38]
    scan = with_vectors(item_vectors).scan()
    ranked = scan.top_k([ScanQuery(np.full(4, 10, np.float32), NO_EVENTS)], 200)
    assert sorted(ranked.item_indices[0].tolist()) == sorted({*range(200), -1} - {17})
    assert not np.isnan(ranked.scores).any()


@pytest.mark.parametrize("exponent", [-20, 20, 60])
@pytest.mark.parametrize("n_lists", [0, 5])
def test_length_of_a_vector_scales_scores_and_nothing_else(exponent: int, n_lists: int) -> None:
    catalogue = random_catalogue(10, 200, n_neighbours=0, n_lists=n_lists, n_probes=2)
    scan, user = catalogue.scan(), normal(np.random.default_rng(1), 16)
    factor = np.float32(2.0**exponent)
    one, other = (scan.top_k([ScanQuery(each, NO_EVENTS)], 10) for each in (user, user * factor))
    np.testing.assert_array_equal(one.item_indices, other.item_indices)
    np.testing.assert_array_equal(one.scores * factor, other.scores)


@pytest.mark.parametrize("n_lists", [0, 7])
def test_vector_of_zeros_scores_zero_and_ranks_by_index(kernel: str, n_lists: int) -> None:
    catalogue = random_catalogue(11, 300, n_neighbours=0, n_lists=n_lists, n_probes=7)
    ranked = catalogue.scan().top_k([ScanQuery(np.zeros(16, np.float32), NO_EVENTS, indices(1))], 4)
    assert ranked.item_indices.tolist() == [[0, 2, 3, 4]]
    assert ranked.scores.tolist() == [[0.0] * 4]


@pytest.mark.parametrize("n_items", [40, 500])
def test_equal_scores_come_by_rising_index(kernel: str, n_items: int) -> None:
    catalogue = with_vectors(np.ones((n_items, 4), np.float32))
    asked = [ScanQuery(np.ones(4, np.float32), NO_EVENTS, indices(0, 4))] * 9
    ranked = catalogue.scan().top_k(asked, 6)
    assert ranked.item_indices.tolist() == [[1, 2, 3, 5, 6, 7]] * 9


@pytest.mark.parametrize("n_lists", [0, 5])
def test_nobody_and_no_places_are_answered_with_nothing(n_lists: int) -> None:
    catalogue = random_catalogue(12, n_lists=n_lists)
    asked = random_people(1, catalogue, 2)
    assert catalogue.scan().top_k([], 5).item_indices.shape == (0, 5)
    assert catalogue.scan().top_k(asked, 0).scores.shape == (2, 0)


def test_empty_catalogue_answers_with_empty_places() -> None:
    catalogue = with_vectors(np.zeros((0, 4), np.float32))
    ranked = catalogue.scan().top_k([ScanQuery(np.ones(4, np.float32), NO_EVENTS)], 2)
    assert ranked.item_indices.tolist() == [[-1, -1]]
    assert np.isneginf(ranked.scores).all()


@pytest.mark.parametrize("n_lists", [0, 4])
def test_weights_that_cancel_leave_the_product_and_one_place(kernel: str, n_lists: int) -> None:
    """An item that came back to nothing and is touched again must not be found twice."""
    rng = np.random.default_rng(13)
    says = {0: {9: 2.0}, 1: {9: -2.0}, 2: {9: 2.0}, 3: {9: -2.0}}
    catalogue = in_lists(with_vectors(normal(rng, 50, 4), term_of(50, says)), n_lists, n_lists)
    scan = catalogue.scan()
    for n_events in (2, 3, 4):
        asked = [ScanQuery(normal(rng, 4), events_of(*range(n_events)))]
        assert_best(scan.top_k(asked, 50), expected_scores(catalogue, asked), 50)


@pytest.mark.parametrize("n_lists", [0, 4])
def test_boost_lifts_and_lowers_and_brings_no_masked_item_back(kernel: str, n_lists: int) -> None:
    rng = np.random.default_rng(14)
    says = {0: {30: 50.0, 31: 40.0, 32: 30.0, 33: 20.0, 34: -50.0}}
    catalogue = in_lists(with_vectors(normal(rng, 60, 4), term_of(60, says)), n_lists, n_lists)
    asked = [ScanQuery(normal(rng, 4), events_of(0), indices(30), indices(31))]
    passing = np.setdiff1d(np.arange(60), [32]).astype(np.int32)
    ranked = catalogue.scan().top_k(asked, 60, AllowedItems.of(passing, 60))
    assert (ranked.item_indices[0, 0], ranked.item_indices[0, 56]) == (33, 34)
    assert_best(ranked, expected_scores(catalogue, asked, passing), 60)


def test_boosted_items_are_found_in_lists_that_are_not_looked_into(kernel: str) -> None:
    """Items 0 to 31 lie where the person is, 32 to 63 on the other side."""
    item_vectors = np.repeat(np.array([[1, 0], [-1, 0]], np.float32), 32, axis=0)
    term = term_of(64, {5: {40: 9.0, 50: 7.0, 60: 1.0}, 6: {41: 8.0, 42: 6.0}})
    scan = in_lists(with_vectors(item_vectors, term), 2, 1).scan()
    asked = [
        ScanQuery(np.array([1, 0], np.float32), events_of(5, 6), seen=indices(40, 5), excluded=indices(41))
    ]
    allowed = AllowedItems.of(np.setdiff1d(np.arange(64), [42]).astype(np.int32), 64)
    ranked = scan.top_k(asked, 4, allowed)
    assert ranked.item_indices.tolist() == [[50, 0, 1, 2]]
    np.testing.assert_allclose(ranked.scores, [[6, 1, 1, 1]], rtol=1e-6)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_items=st.integers(1, 120),
    n_factors=st.integers(1, 24),
    n_neighbours=st.integers(0, 6),
    n_lists=st.integers(0, 12),
    n_people=st.integers(1, 10),
    k=st.integers(1, 130),
    share=st.none() | st.floats(0, 1),
    is_float=st.booleans(),
)
def test_answer_falls_in_score_repeats_nothing_and_holds_nothing_masked(
    seed: int, n_items: int, n_factors: int, n_neighbours: int, n_lists: int, n_people: int, k: int,
    share: float | None, is_float: bool,
) -> None:  # fmt: skip
    catalogue = random_catalogue(
        seed,
        n_items,
        n_factors,
        n_neighbours,
        is_float=is_float,
        n_lists=n_lists,
        n_probes=max(1, n_lists // 2),
    )
    asked, rng = random_people(seed, catalogue, n_people), np.random.default_rng(seed)
    passing = None if share is None else np.flatnonzero(rng.random(n_items) < share).astype(np.int32)
    allowed = None if passing is None else AllowedItems.of(passing, n_items)
    ranked = catalogue.scan().top_k(asked, k, allowed)
    scores = expected_scores(catalogue, asked, passing)
    if n_items <= k + RESCORE_MARGIN:  # then nothing is left out, whatever lists it lies in
        assert_best(ranked, scores, k)
    for row, items in enumerate(ranked.item_indices):
        found = items[items >= 0]
        assert len(found) == min(k, int(np.isfinite(scores[row]).sum()))
        assert len(set(found.tolist())) == len(found)
        assert np.isfinite(scores[row, found]).all()
        assert (np.diff(ranked.scores[row, : len(found)]) <= 0).all()


@pytest.mark.parametrize(("n_items", "n_factors"), [(2_500, 64), (9_001, 64), (9_001, 20)])
@pytest.mark.parametrize("k", [1, 20, 40])
def test_large_catalogue_is_searched_in_two_levels_and_misses_nothing(
    kernel: str, n_items: int, n_factors: int, k: int
) -> None:
    catalogue = random_catalogue(n_items, n_items, n_factors, 20)
    asked = random_people(k, catalogue, 9)
    assert_best(catalogue.scan().top_k(asked, k), expected_scores(catalogue, asked), k)


def test_large_catalogue_of_which_a_filter_leaves_some_is_answered_with_those(kernel: str) -> None:
    catalogue = random_catalogue(5, 6_000, 64)
    asked = random_people(1, catalogue, 3)
    items = np.arange(0, 6_000, 17, dtype=np.int32)
    for allowed in (items, np.arange(100, 500, dtype=np.int32)):
        ranked = catalogue.scan().top_k(asked, 30, AllowedItems.of(allowed, 6_000))
        assert_best(ranked, expected_scores(catalogue, asked, allowed), 30)
