"""A shop's tables as integer arrays: ids become rows, events become one packed history a person.

A `Shop` (strings, as loaded) goes in; a `Dataset` comes out, which everything after it reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from models.histories import Histories
from models.vocabulary import Vocabulary
from training.data.shop import Shop

AskedAt = Literal["now", "last_event"]


@dataclass(frozen=True)
class Catalogue:
    """What is known of each item, by item_index.

    titles, texts: (n_items,). categories: (n_items,), None where the shop gave none.
    prices: (n_items,) float32, NaN where unknown. recommendable: (n_items,) bool.
    first_seen: (n_items,) int64, Unix seconds of its first event,
        the largest int64 for an item without any.
    """

    titles: list[str]
    texts: list[str]
    categories: list[str | None]
    prices: npt.NDArray[np.float32]
    first_seen: npt.NDArray[np.int64]
    recommendable: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.int64]) -> Catalogue:
        """The items of some rows."""
        return Catalogue(
            [self.titles[row] for row in rows],
            [self.texts[row] for row in rows],
            [self.categories[row] for row in rows],
            self.prices[rows],
            self.first_seen[rows],
            self.recommendable[rows],
        )

    def __len__(self) -> int:
        return len(self.titles)


@dataclass(frozen=True)
class Dataset:
    """A shop as arrays. histories: everybody's events by row of `people`, oldest first."""

    name: str
    items: Vocabulary
    people: Vocabulary
    catalogue: Catalogue
    histories: Histories


@dataclass(frozen=True)
class Interactions:
    """What a member may learn from: everybody's events before a moment, and the catalogue.

    histories: (n_people) rows; people without events before the moment have an empty one.
    until: Unix seconds, exclusive; the moment from which the future is unknown.
    asked_at: when the questions about these people are asked. "now": at `until`, for everybody. "last_event": at
        the time of the person's last known event, so that other people's later events lie in its future.
    """

    histories: Histories
    catalogue: Catalogue
    until: int
    asked_at: AskedAt = "now"

    @property
    def n_items(self) -> int:
        """Size of the catalogue, items not seen yet included."""
        return len(self.catalogue)

    def item_counts(self) -> npt.NDArray[np.int64]:
        """Events per item; (n_items,)."""
        return np.bincount(self.histories.item_indices, minlength=self.n_items)


def interactions_among(
    dataset: Dataset, keep: npt.NDArray[np.bool_], *, until: int, asked_at: AskedAt
) -> Interactions:
    """Some of the events, with all people in their rows; keep (n_events,).

    An item is known since its first event among these, so that nothing is learned of an event left out.
    """
    histories = kept_events(dataset.histories, keep)
    first_seen = first_event_times(histories, len(dataset.catalogue))
    return Interactions(histories, replace(dataset.catalogue, first_seen=first_seen), until, asked_at)


def kept_events(histories: Histories, keep: npt.NDArray[np.bool_]) -> Histories:
    """The same rows of people with some of the events; keep (n_events,)."""
    n_kept_before = np.concatenate([[0], np.cumsum(keep)])
    return Histories(
        n_kept_before[histories.offsets].astype(np.int64),
        histories.item_indices[keep],
        histories.times[keep],
        histories.kinds[keep],
    )


def people_of_events(histories: Histories) -> npt.NDArray[np.int64]:
    """The row of the person of each event; (n_events,)."""
    return np.repeat(np.arange(len(histories)), np.diff(histories.offsets))


def first_event_times(histories: Histories, n_items: int) -> npt.NDArray[np.int64]:
    """Unix seconds of each item's first event, the largest int64 where it has none; (n_items,)."""
    first_seen = np.full(n_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, histories.item_indices, histories.times)
    return first_seen


def interactions_until_now(dataset: Dataset) -> Interactions:
    """Everything there is, up to just after the last event."""
    return Interactions(dataset.histories, dataset.catalogue, int(dataset.histories.times.max()) + 1)


def index_shop(shop: Shop, *, unlisted_too: bool = False) -> Dataset:
    """Give every person and item a row and pack the events; rows follow the sorted ids.

    The shop's events come sorted by person and time and keep that order. Items without any event stay in the
    catalogue: they can be recommended by their text. Items that may not be recommended stay too, to be learned from.
    unlisted_too: those without a row in the item table may be recommended.
    """
    items = shop.items.with_columns(shop.recommendable(unlisted_too=unlisted_too)).sort("item_id")
    item_ids = items["item_id"].to_list()
    user_ids = shop.events["user_id"].unique().sort().to_list()
    events = shop.events.with_columns(
        item_index=pl.col("item_id").replace_strict(item_ids, range(len(item_ids)), return_dtype=pl.Int32),
        user_index=pl.col("user_id").replace_strict(user_ids, range(len(user_ids)), return_dtype=pl.Int32),
    ).sort("user_index", "time", maintain_order=True)
    offsets = np.zeros(len(user_ids) + 1, np.int64)
    np.cumsum(np.bincount(events["user_index"].to_numpy(), minlength=len(user_ids)), out=offsets[1:])
    histories = Histories(offsets, *(events[column].to_numpy() for column in ("item_index", "time", "kind")))
    catalogue = Catalogue(
        titles=items["title"].to_list(),
        texts=items["text"].to_list(),
        categories=items["category"].to_list(),
        prices=items["price"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        first_seen=first_event_times(histories, len(item_ids)),
        recommendable=items["recommendable"].to_numpy(),
    )
    return Dataset(
        shop.name, Vocabulary.from_ids(item_ids), Vocabulary.from_ids(user_ids), catalogue, histories
    )
