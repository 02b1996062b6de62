"""Item metadata: what passes a filter, and what is popular where."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.items import Items, rank_segments
from tests.support.bundles import tiny_items
from training.data.attributes import attributes_of

UNKNOWN_PRICE, NO_CATEGORY = 2, 3


@pytest.fixture
def items() -> Items:
    """Six items in blocks 0, 1, 0, none, 0, 1 at prices 1 to 6, that of item 2 unknown."""
    made = tiny_items(6, 2)
    made.prices[UNKNOWN_PRICE] = np.nan
    return dataclasses.replace(made, category_codes=np.array([0, 1, 0, -1, 0, 1], np.int32))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"categories": ["block-0"]}, [0, 2, 4]),
        ({"categories": ["block-0", "block-1"]}, [0, 1, 2, 4, 5]),
        ({"categories": ["no such block"]}, []),
        ({"categories": []}, []),
        ({"min_price": 4}, [3, 4, 5]),
        ({"max_price": 2}, [0, 1]),
        ({"min_price": 0.0}, [0, 1, 3, 4, 5]),
        ({"min_price": 2, "max_price": 5}, [1, 3, 4]),
        ({"min_price": 5, "max_price": 2}, []),
        ({"categories": ["block-1"], "min_price": 5}, [5]),
        ({"max_price": 1e300}, [0, 1, 3, 4, 5]),
        ({"min_price": 1e300}, []),
    ],
)
def test_filter_allows_exactly_what_it_says(items: Items, asked: dict[str, Any], expected: list[int]) -> None:
    assert np.flatnonzero(items.allowed(**asked)).tolist() == expected


@pytest.mark.parametrize(
    ("categories", "min_price"), [(None, None), (["block-0"], None), (["block-1", "block-0"], 1.0)]
)
def test_allowed_items_are_indices_by_rising_index(
    items: Items, categories: list[str] | None, min_price: float | None
) -> None:
    found = items.allowed_items(categories, min_price)
    assert found.dtype == np.int32
    assert found.tolist() == np.flatnonzero(items.allowed(categories, min_price)).tolist()
    assert (np.diff(found) > 0).all()


def test_filters_are_built_once(items: Items) -> None:
    assert items.filters is items.filters


def test_metadata_comes_back_from_its_arrays(items: Items) -> None:
    again = Items.from_arrays(items.arrays())
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, items.arrays()[name], strict=True)
    assert [again.titles[2], again.category_names[1], again.vocabulary.id_of(5)] == [
        "Item 2",
        "block-1",
        "item-5",
    ]


def test_segments_list_the_most_popular_first_and_ties_by_index() -> None:
    segments = np.array([0, 1, 0, 0, 1, 0], np.int32)
    popularity = np.array([1, 5, 3, 1, 9, 3], np.float32)
    assert rank_segments(segments, popularity, width=5).tolist() == [[2, 5, 0, 3, -1], [4, 1, -1, -1, -1]]


def test_segment_is_cut_to_its_width() -> None:
    popularity = np.array([1, 2, 3], np.float32)
    assert rank_segments(np.zeros(3, np.int32), popularity, width=2).tolist() == [[2, 1]]


def test_segment_without_items_has_a_row_of_its_own() -> None:
    ranked = rank_segments(np.array([2, 0], np.int32), np.ones(2, np.float32), width=1)
    assert ranked.tolist() == [[1], [-1], [0]]


def test_no_items_have_no_segments() -> None:
    assert rank_segments(np.zeros(0, np.int32), np.zeros(0, np.float32), width=3).shape == (0, 3)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 6))
def test_segments_are_ranked_as_one_by_one(rows: list[tuple[int, int]], width: int) -> None:
    segments, popularity = np.array(rows).T
    ranked = rank_segments(segments.astype(np.int32), popularity.astype(np.float32), width)
    for segment, row in enumerate(ranked.tolist()):
        members = [item for item in range(len(rows)) if rows[item][0] == segment]
        best = sorted(members, key=lambda item: (-rows[item][1], item))[:width]
        assert row == best + [-1] * (width - len(best))


def test_a_catalogue_that_is_all_available_needs_no_mask() -> None:
    assert tiny_items().recommendable is None


@pytest.mark.parametrize("n_available", [1, 2, 39])
def test_what_is_available_is_a_mask_for_searches(n_available: int) -> None:
    available = np.arange(40) < n_available
    mask = dataclasses.replace(tiny_items(40), available=available).recommendable
    assert mask is not None
    assert mask.n_allowed == n_available
    assert (
        mask.contains(np.arange(40, dtype=np.int32)).tolist() == mask.mask(40).tolist() == available.tolist()
    )


def test_availability_is_read_back_as_it_was_written() -> None:
    available = np.arange(40) % 3 > 0
    items = dataclasses.replace(tiny_items(40), available=available)
    assert Items.from_arrays(items.arrays()).available.tolist() == available.tolist()


def test_a_filter_finds_an_item_by_each_of_its_categories(items: Items) -> None:
    several = attributes_of(
        pl.DataFrame({"item_id": ["b", "d"], "categories": [["block-1", "wood"], ["glass", "wood"]]}),
        list("abcdef"),
    )
    shop = dataclasses.replace(items, attributes=several)
    assert np.flatnonzero(shop.allowed(["wood"])).tolist() == [1, 3]
    assert np.flatnonzero(shop.allowed(["glass", "block-0"])).tolist() == [0, 2, 3, 4]
