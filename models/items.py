"""What a bundle knows of each item: id, title, category, price, segment, popularity."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.vocabulary import StringTable, Vocabulary


@dataclass(frozen=True)
class Items:
    """The catalogue's metadata by item_index.

    vocabulary: the shop's item ids. titles: by item_index.
    category_names: by category code. category_codes: (n_items,) int32, -1 where the shop gave none.
    prices: (n_items,) float32 in the shop's currency, NaN where unknown.
    segments: (n_items,) int32; the category where the shop has them, else a cluster of item texts.
    segment_popular: (n_segments, width) int32, item indices by falling popularity, -1 after the last.
    popularity: (n_items,) float32, time-decayed interactions, >= 0.
    """

    vocabulary: Vocabulary
    titles: StringTable
    category_names: StringTable
    category_codes: npt.NDArray[np.int32]
    prices: npt.NDArray[np.float32]
    segments: npt.NDArray[np.int32]
    segment_popular: npt.NDArray[np.int32]
    popularity: npt.NDArray[np.float32]

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Items:
        """Read back what `arrays()` gave, without copying it."""
        return Items(
            Vocabulary.from_arrays(arrays, "item_ids"),
            StringTable.from_arrays(arrays, "item_titles"),
            StringTable.from_arrays(arrays, "category_names"),
            np.asarray(arrays["item_categories"], np.int32),
            np.asarray(arrays["item_prices"], np.float32),
            np.asarray(arrays["item_segments"], np.int32),
            np.asarray(arrays["segment_popular"], np.int32),
            np.asarray(arrays["item_popularity"], np.float32),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The metadata as named arrays, ready for a bundle."""
        return {
            **self.vocabulary.arrays("item_ids"),
            **self.titles.arrays("item_titles"),
            **self.category_names.arrays("category_names"),
            "item_categories": self.category_codes,
            "item_prices": self.prices,
            "item_segments": self.segments,
            "segment_popular": self.segment_popular,
            "item_popularity": self.popularity,
        }

    def __len__(self) -> int:
        return len(self.vocabulary)

    def allowed(
        self,
        categories: Collection[str] | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Which items pass a filter; shape (n_items,). An item of unknown price passes no price bound."""
        allowed = np.ones(len(self), np.bool_)
        if categories is not None:
            codes = [
                code for code in range(len(self.category_names)) if self.category_names[code] in categories
            ]
            allowed &= np.isin(self.category_codes, codes)
        with np.errstate(over="ignore"):  # a bound beyond float32 is infinite, which compares as it should
            if min_price is not None:
                allowed &= self.prices >= min_price
            if max_price is not None:
                allowed &= self.prices <= max_price
        return allowed


def rank_segments(
    segments: npt.NDArray[np.int32], popularity: npt.NDArray[np.float32], width: int = 200
) -> npt.NDArray[np.int32]:
    """List each segment's items by falling popularity (ties: lower index first), -1 after the last.

    segments and popularity: (n_items,). Returns (n_segments, width) int32.
    """
    n_items_in = np.bincount(segments)  # (n_segments,)
    ranked = np.full((len(n_items_in), width), -1, np.int32)
    order = np.lexsort((-popularity, segments))  # by segment, then by falling popularity; stable
    first_in = np.cumsum(n_items_in) - n_items_in
    ranks = np.arange(len(order)) - first_in[segments[order]]
    best = ranks < width
    ranked[segments[order[best]], ranks[best]] = order[best]
    return ranked
