"""Filters by index give what comparing every item gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attributes import Words
from models.item_filters import SCAN_SHARE, ItemFilters
from models.vocabulary import StringTable

NAMES = ["lamps", "vases", "empty", "clocks"]
NO_PRICE = float("nan")

items_of_a_shop = st.lists(
    st.tuples(
        st.sampled_from([-1, 0, 1, 3]),
        st.sampled_from([NO_PRICE, 0.0, 0.1, 1.0, 2.5, 7.0]),
        st.sets(st.sampled_from(["clocks", "glass", "lamps", "wood"]), max_size=3),
    ),
    max_size=40,
)
bounds = st.none() | st.sampled_from([-1.0, 0.0, 0.1, 1.0, 2.0, 2.5, 7.0, 1e300])
wanted = st.none() | st.lists(st.sampled_from([*NAMES, "glass", "wood", "no such category"]), max_size=4)


def filters(rows: list[tuple[int, float]], more: list[set[str]] | None = None) -> ItemFilters:
    codes = np.array([code for code, _ in rows], np.int32)
    prices = np.array([price for _, price in rows], np.float32)
    return ItemFilters(NAMES, codes, prices, words(more) if more is not None else None)


def words(by_item: list[set[str]]) -> Words:
    values = sorted(set().union(*by_item))
    codes = [values.index(word) for of_item in by_item for word in sorted(of_item)]
    offsets = np.cumsum([0, *map(len, by_item)], dtype=np.int64)
    return Words(StringTable.from_strings(values), np.array(codes, np.int32), offsets)


@given(items_of_a_shop, st.booleans(), wanted, bounds, bounds)
def test_index_finds_what_comparing_every_item_finds(
    rows: list[tuple[int, float, set[str]]],
    have_several: bool,
    categories: list[str] | None,
    low: float | None,
    high: float | None,
) -> None:
    def passes(code: int, price: float, more: set[str]) -> bool:
        price = float(np.float32(price))
        own = {NAMES[code]} if code >= 0 else set[str]()
        return bool(
            (categories is None or (own | more if have_several else own) & set(categories))
            and (low is None or price >= np.float32(min(low, 1e38)))
            and (high is None or price <= np.float32(min(high, 1e38)))
        )

    expected = [index for index, row in enumerate(rows) if passes(*row)]
    shop = filters(
        [(code, price) for code, price, _ in rows], [more for *_, more in rows] if have_several else None
    )
    found = shop.allowed(categories, low, high)
    np.testing.assert_array_equal(found, np.array(expected, np.int32), strict=True)


@pytest.mark.parametrize("n_passing", [1, 100 // SCAN_SHARE, 100 // SCAN_SHARE + 1, 100])
def test_narrow_and_wide_price_bounds_agree(n_passing: int) -> None:
    prices = np.arange(100, dtype=np.float32)[::-1].copy()
    found = ItemFilters([], np.full(100, -1, np.int32), prices).allowed(None, None, n_passing - 1.0)
    assert found.tolist() == list(range(100 - n_passing, 100))


def test_category_named_twice_counts_once() -> None:
    assert filters([(0, 1.0), (1, 1.0), (0, 2.0)]).allowed(["lamps", "lamps"]).tolist() == [0, 2]


def test_few_items_within_the_bounds_are_looked_up_in_their_categories() -> None:
    shop = filters([(0, 1.0), (0, 2.0), (0, 3.0), (-1, 9.0), (1, 9.0), (0, 9.0)])
    assert shop.allowed(["lamps"], 9.0).tolist() == [5]


def test_no_items_pass_nothing() -> None:
    assert filters([]).allowed(["lamps"], 1.0, 2.0).tolist() == []
