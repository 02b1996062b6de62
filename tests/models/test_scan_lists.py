"""Inverted lists and filters: what a search looks into, and that its answer is full."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from models.index import AllowedItems, inverted_index, quantize_rows
from models.scan import RESCORE_MARGIN, ScanQuery
from tests.models.catalogues import (
    NO_EVENTS,
    Catalogue,
    Floats,
    Indices,
    assert_best,
    assert_equal,
    expected_scores,
    in_lists,
    indices,
    normal,
    random_catalogue,
    random_people,
    with_vectors,
)

# -- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_lists", [1, 2, 16, 17, 60])
def test_all_lists_together_give_what_a_flat_search_gives(kernel: str, seed: int, n_lists: int) -> None:
    catalogue = random_catalogue(seed, 400 + seed, n_lists=n_lists, n_probes=1)
    asked = random_people(seed, catalogue, 4)
    found = catalogue.scan().top_k(asked, 25, n_probes=n_lists)
    assert_equal(found, catalogue.flat().scan().top_k(asked, 25))
    assert_best(found, expected_scores(catalogue, asked), 25)


def test_lists_that_are_empty_or_cut_a_block_are_looked_into_whole_and_alone(kernel: str) -> None:
    """One list at a time: exactly its own items are found, whatever lies in the same block of 16."""
    n_items, edges = 70, [0, 0, 3, 3, 16, 32, 33, 47, 47, 70, 70]
    n_lists = len(edges) - 1
    item_vectors = np.zeros((n_items, n_lists), np.float32)
    for row in range(n_lists):
        item_vectors[edges[row] : edges[row + 1], row] = 1
    index = inverted_index(
        *quantize_rows(item_vectors), np.array(edges, np.int32), np.eye(n_lists, dtype=np.float32), 1
    )
    scan = dataclasses.replace(with_vectors(item_vectors), index=index).scan()
    for row in range(n_lists):
        own = list(range(edges[row], edges[row + 1]))
        if not own:
            continue
        ranked = scan.top_k([ScanQuery(np.eye(n_lists, dtype=np.float32)[row], NO_EVENTS)], len(own))
        assert ranked.item_indices.tolist() == [own]


def test_a_search_looks_into_the_nearest_lists_and_no_others() -> None:
    """Ten lists on a line, 40 items each, so that one list is more than is scored again."""
    n_each = RESCORE_MARGIN + 8
    item_vectors = np.repeat(np.arange(10, dtype=np.float32), n_each)[:, None] * np.ones((1, 2), np.float32)
    item_vectors[:, 1] = -np.tile(np.arange(n_each, dtype=np.float32), 10)
    scan = in_lists(with_vectors(item_vectors), 10, 3).scan()
    user = [ScanQuery(np.array([1, 1], np.float32), NO_EVENTS)]
    lists = [set((scan.top_k(user, 8, n_probes=n).item_indices // n_each).ravel().tolist()) for n in (1, 2)]
    assert lists == [{9}, {8, 9}]
    assert_equal(scan.top_k(user, 8), scan.top_k(user, 8, n_probes=3))


@pytest.mark.parametrize("seed", range(3))
def test_more_lists_find_no_less(seed: int) -> None:
    catalogue = random_catalogue(seed, 2_000, n_lists=20)
    asked, scan = random_people(seed, catalogue, 5), catalogue.scan()
    totals = [scan.top_k(asked, 10, n_probes=n_probes).scores.sum() for n_probes in range(1, 21)]
    assert (np.diff(totals) >= 0).all()
    assert totals[0] < totals[-1]


def far_items(catalogue: Catalogue, user: Floats, n_near: int) -> Indices:
    """Everything but the items of the n_near lists that come first for this person."""
    offsets = catalogue.index.list_offsets
    means = [catalogue.item_vectors[first:end].mean(axis=0) @ user for first, end in pairwise(offsets)]
    far = np.argsort(means)[: len(means) - n_near]
    return np.sort(np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in far])).astype(
        np.int32
    )


@pytest.mark.parametrize("n_near", [2, 10])
def test_answer_is_full_though_what_a_filter_passes_lies_in_no_near_list(kernel: str, n_near: int) -> None:
    rng = np.random.default_rng(15)
    catalogue = in_lists(with_vectors(normal(rng, 1_600, 8)), 16, 1)
    user = normal(rng, 8)
    passing = far_items(catalogue, user, n_near)
    asked = [ScanQuery(user, NO_EVENTS)]
    ranked = catalogue.scan().top_k(asked, 50, AllowedItems.of(passing, 1_600))
    assert (ranked.item_indices >= 0).all()
    assert np.isin(ranked.item_indices, passing).all()


@pytest.mark.parametrize("n_near", [2, 15])
def test_answer_is_full_though_every_item_of_the_near_lists_is_masked(kernel: str, n_near: int) -> None:
    rng = np.random.default_rng(16)
    catalogue = in_lists(with_vectors(normal(rng, 1_600, 8)), 16, 1)
    user = normal(rng, 8)
    left = far_items(catalogue, user, n_near)
    masked = np.setdiff1d(np.arange(1_600), left).astype(np.int32)
    ranked = catalogue.scan().top_k([ScanQuery(user, NO_EVENTS, masked[::2], masked[1::2])], 50)
    assert np.isin(ranked.item_indices, left).all()


def test_everything_but_a_few_items_may_be_masked_in_lists() -> None:
    catalogue = random_catalogue(17, 500, n_lists=12, n_probes=1)
    masked = np.setdiff1d(np.arange(500), [3, 250, 499]).astype(np.int32)
    asked = [ScanQuery(normal(np.random.default_rng(1), 16), NO_EVENTS, masked)]
    assert_best(catalogue.scan().top_k(asked, 5), expected_scores(catalogue, asked), 5)


# -- filters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.002, 0.01, 0.04, 0.06, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("n_lists", [0, 30])
def test_filtered_answer_is_full_and_of_what_passes(kernel: str, share: float, n_lists: int) -> None:
    catalogue = random_catalogue(18, 3_000, n_lists=n_lists, n_probes=30)
    rng = np.random.default_rng(2)
    passing = np.sort(rng.choice(3_000, int(share * 3_000), replace=False)).astype(np.int32)
    asked = random_people(3, catalogue, 10)
    ranked = catalogue.scan().top_k(asked, 20, AllowedItems.of(passing, 3_000))
    assert_best(ranked, expected_scores(catalogue, asked, passing), 20)


def test_narrow_filter_is_exact_whatever_lists_are_looked_into(kernel: str) -> None:
    catalogue = random_catalogue(19, 3_000, n_lists=40, n_probes=1)
    passing = np.sort(np.random.default_rng(4).choice(3_000, 30, replace=False)).astype(np.int32)
    asked, allowed = random_people(5, catalogue, 9), AllowedItems.of(passing, 3_000)
    assert allowed.listed is not None
    assert_best(catalogue.scan().top_k(asked, 30, allowed), expected_scores(catalogue, asked, passing), 30)


def test_filter_of_a_third_makes_a_search_look_into_three_times_as_many_lists() -> None:
    catalogue = random_catalogue(20, 4_000, n_lists=20, n_neighbours=0)
    passing = np.arange(0, 4_000, 3, dtype=np.int32)
    scan, allowed = catalogue.scan(), AllowedItems.of(passing, 4_000)
    asked = [ScanQuery(each.vector, NO_EVENTS) for each in random_people(6, catalogue, 5)]
    masked = np.setdiff1d(np.arange(4_000), passing).astype(np.int32)
    seen = [ScanQuery(each.vector, NO_EVENTS, masked) for each in asked]
    assert_equal(scan.top_k(asked, 20, allowed, n_probes=2), scan.top_k(seen, 20, n_probes=6))


@pytest.mark.parametrize("n_lists", [0, 5])
def test_filter_that_passes_nothing_gives_nothing(n_lists: int) -> None:
    catalogue = random_catalogue(21, n_lists=n_lists)
    asked, scan = random_people(7, catalogue, 3), catalogue.scan()
    ranked = scan.top_k(asked, 4, AllowedItems.of(indices(), 300))
    assert ranked.item_indices.tolist() == [[-1] * 4] * 3
    assert np.isneginf(ranked.scores).all()
    assert_best(scan.top_k(asked, 4, n_probes=5), expected_scores(catalogue, asked), 4)


@pytest.mark.parametrize(("n_items", "n_blocks"), [(200, 13), (400, 25)])
def test_filter_of_another_catalogue_is_refused(n_items: int, n_blocks: int) -> None:
    catalogue = random_catalogue(22, 300)
    allowed = AllowedItems.of(np.arange(150, dtype=np.int32), n_items)
    with pytest.raises(ValueError, match=f"of another catalogue: {n_blocks} blocks instead of 19"):
        catalogue.scan().top_k(random_people(1, catalogue, 1), 3, allowed)


@pytest.mark.parametrize("listed", [[-1, 5], [5, 300], [2**31 - 1]])
def test_filter_that_lists_items_beyond_the_catalogue_is_refused(listed: list[int]) -> None:
    catalogue = random_catalogue(22, 300)
    allowed = AllowedItems(len(listed), indices(*listed), None)
    with pytest.raises(IndexError, match="beyond the catalogue"):
        catalogue.scan().top_k(random_people(1, catalogue, 1), 3, allowed)
