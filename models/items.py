"""What a bundle knows of each item: id, title, category, price, segment, popularity, availability."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.attributes import CATEGORIES, AttributeEntry, ItemAttributes, Words
from models.index import AllowedItems
from models.item_filters import ItemFilters
from models.repurchase import RepurchaseClock
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
    available: (n_items,) bool, whether it may be recommended. An item that may not is still in people's histories,
        and is scored and explained by like any other.
    attributes: whatever else the shop says of its items. repurchase: when they are due again.
    """

    vocabulary: Vocabulary
    titles: StringTable
    category_names: StringTable
    category_codes: npt.NDArray[np.int32]
    prices: npt.NDArray[np.float32]
    segments: npt.NDArray[np.int32]
    segment_popular: npt.NDArray[np.int32]
    popularity: npt.NDArray[np.float32]
    available: npt.NDArray[np.bool_]
    attributes: ItemAttributes
    repurchase: RepurchaseClock

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, npt.NDArray[np.generic]], attributes: Sequence[AttributeEntry] = ()
    ) -> Items:
        """Read what `arrays()` returned, without copying it. attributes: of the manifest."""
        vocabulary = Vocabulary.from_arrays(arrays, "item_ids")
        return Items(
            vocabulary=vocabulary,
            titles=StringTable.from_arrays(arrays, "item_titles"),
            category_names=StringTable.from_arrays(arrays, "category_names"),
            category_codes=np.asarray(arrays["item_categories"], np.int32),
            prices=np.asarray(arrays["item_prices"], np.float32),
            segments=np.asarray(arrays["item_segments"], np.int32),
            segment_popular=np.asarray(arrays["segment_popular"], np.int32),
            popularity=np.asarray(arrays["item_popularity"], np.float32),
            available=np.asarray(arrays["item_available"], np.uint8).view(np.bool_),
            attributes=ItemAttributes.from_arrays(arrays, attributes, len(vocabulary)),
            repurchase=RepurchaseClock.from_arrays(arrays),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the metadata as named arrays, ready for a bundle."""
        return {
            **self.vocabulary.arrays("item_ids"),
            **self.titles.arrays("item_titles"),
            **self.category_names.arrays("category_names"),
            "item_categories": self.category_codes,
            "item_prices": self.prices,
            "item_segments": self.segments,
            "segment_popular": self.segment_popular,
            "item_popularity": self.popularity,
            "item_available": np.asarray(self.available, np.bool_).view(np.uint8),
            **self.attributes.arrays(),
            **self.repurchase.arrays(),
        }

    def __len__(self) -> int:
        return len(self.vocabulary)

    def allowed(
        self,
        categories: Collection[str] | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Tell which items pass a filter; shape (n_items,). An item of unknown price passes no price bound."""
        is_allowed = np.zeros(len(self), np.bool_)
        is_allowed[self.allowed_items(categories, min_price, max_price)] = True
        return is_allowed

    def allowed_items(
        self,
        categories: Collection[str] | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
    ) -> npt.NDArray[np.int32]:
        """Return the items that pass a filter, rising by item_index; (n_allowed,) int32, as `ItemFilters.allowed`."""
        return self.filters.allowed(categories, min_price, max_price)

    @cached_property
    def recommendable(self) -> AllowedItems | None:
        """The available items as a mask for searches; None if all are available, so that nothing gets slower then.

        Every answer must respect it: a search without a mask would return items that the shop took out.
        """
        if self.available.all():
            return None
        return AllowedItems.of(np.flatnonzero(self.available).astype(np.int32), len(self))

    @cached_property
    def filters(self) -> ItemFilters:
        """The filters, built at first use, which takes 0.1 s at 1 M items: use them once before a request waits."""
        names = [self.category_names[code] for code in range(len(self.category_names))]
        several = self.attributes.by_name.get(CATEGORIES)
        more = several if isinstance(several, Words) else None
        return ItemFilters(names, self.category_codes, self.prices, more)


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
