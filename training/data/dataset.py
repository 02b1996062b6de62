"""Turn a shop's tables into integer arrays: ids become rows, and events become one packed history per person.

A `Shop` (strings, as loaded) goes in; a `Dataset` comes out, which all later stages read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from models.attributes import ItemAttributes
from models.history import EventKind
from models.packed_histories import Histories
from models.text import with_terms
from models.vocabulary import Vocabulary
from training.data.attributes import attributes_of
from training.data.evidence import Evidence
from training.data.shop import Shop
from training.data.target import choose_target, lowest_liked, with_dislikes

PredictionTime = Literal["now", "last_event"]


@dataclass(frozen=True)
class Catalogue:
    """What is known of each item, by item_index.

    titles, texts: (n_items,); a text has the attributes as terms (`models.text.with_terms`).
    categories: (n_items,), None where the shop gave none.
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
    attributes: ItemAttributes

    def take(self, rows: npt.NDArray[np.int64]) -> Catalogue:
        """Keep the items of these rows."""
        return Catalogue(
            [self.titles[row] for row in rows],
            [self.texts[row] for row in rows],
            [self.categories[row] for row in rows],
            self.prices[rows],
            self.first_seen[rows],
            self.recommendable[rows],
            self.attributes.take(rows),
        )

    def category_names(self) -> list[str]:
        """Return the names of categories, rising."""
        return sorted({category for category in self.categories if category is not None})

    def category_codes(self) -> npt.NDArray[np.int32]:
        """Return each item's place among `category_names`, -1 for none; (n_items,)."""
        code = {name: position for position, name in enumerate(self.category_names())}
        return np.array([-1 if name is None else code[name] for name in self.categories], np.int32)

    def __len__(self) -> int:
        return len(self.titles)


@dataclass(frozen=True)
class Dataset:
    """A shop as arrays.

    histories: everybody's events, one row per person as in `people`, oldest first. target: the kind of event that
    models predict. target_reason: why. liked_from: the lowest rating that speaks for its item; None if no rating
    speaks against one.
    """

    name: str
    items: Vocabulary
    people: Vocabulary
    catalogue: Catalogue
    histories: Histories
    target: EventKind = EventKind.PURCHASE
    target_reason: str = ""
    liked_from: float | None = None


@dataclass(frozen=True)
class Interactions:
    """What a member may learn from: everybody's events before a moment, and the catalogue.

    histories: (n_people) rows, empty for people without events before that moment.
    until: Unix seconds, exclusive: the moment from which the future is unknown.
    prediction_time: the moment at which a model predicts for a person. "now": `until`, for everybody. "last_event":
        `History.asked_at` or, where it is 0, the time of the person's last known event, so that other people's later
        events lie in its future.
    evidence: what is predicted, and how much each kind of event says about it.
    """

    histories: Histories
    catalogue: Catalogue
    until: int
    prediction_time: PredictionTime = "now"
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def has_targets_alone(self) -> bool:
        """Whether there are no events but those that are to be predicted."""
        return bool((self.histories.kinds == self.evidence.target).all())

    @property
    def n_items(self) -> int:
        """Size of the catalogue, including items without events so far."""
        return len(self.catalogue)

    def item_counts(self) -> npt.NDArray[np.int64]:
        """Count the events of each item; (n_items,)."""
        return np.bincount(self.histories.item_indices, minlength=self.n_items)


def interactions_among(
    dataset: Dataset, keep: npt.NDArray[np.bool_], *, until: int, prediction_time: PredictionTime
) -> Interactions:
    """Keep some of the events, and all people in their rows; keep (n_events,).

    An item's first_seen is its first kept event, so that nothing is learned of an event that is left out.
    """
    histories = dataset.histories.kept(keep)
    first_seen = first_event_times(histories, len(dataset.catalogue))
    catalogue = replace(dataset.catalogue, first_seen=first_seen)
    return Interactions(histories, catalogue, until, prediction_time, Evidence.of(dataset.target, {}))


def people_of_events(histories: Histories) -> npt.NDArray[np.int64]:
    """Return the row of each event's person; (n_events,)."""
    return np.repeat(np.arange(len(histories)), np.diff(histories.offsets))


def first_event_times(histories: Histories, n_items: int) -> npt.NDArray[np.int64]:
    """Return the Unix seconds of each item's first event, the largest int64 if it has none; (n_items,)."""
    first_seen = np.full(n_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, histories.item_indices, histories.times)
    return first_seen


def interactions_until_now(dataset: Dataset) -> Interactions:
    """Return all interactions; `until` is just after the last event."""
    until = int(dataset.histories.times.max()) + 1
    return Interactions(dataset.histories, dataset.catalogue, until, evidence=Evidence.of(dataset.target, {}))


def index_shop(shop: Shop, *, unlisted_too: bool = False, target: EventKind | None = None) -> Dataset:
    """Give every person and item a row and pack the events; rows follow the sorted ids.

    The shop's events come sorted by person and time and keep that order. Items without any event stay in the
    catalogue, because they can be recommended by their text. Items that may not be recommended stay too, to be
    learned from. unlisted_too: items without a row in the item table may be recommended. target: what is predicted;
    None chooses it. Raises SettingsInvalid for a target of which there is no event.
    """
    liked_from = lowest_liked(shop.events)
    shop_events = with_dislikes(shop.events, liked_from)
    chosen = choose_target(shop_events, target)
    items = shop.items.with_columns(shop.recommendable(unlisted_too=unlisted_too)).sort("item_id")
    item_ids = items["item_id"].to_list()
    user_ids = shop_events["user_id"].unique().sort().to_list()
    events = shop_events.with_columns(
        item_index=pl.col("item_id").replace_strict(item_ids, range(len(item_ids)), return_dtype=pl.Int32),
        user_index=pl.col("user_id").replace_strict(user_ids, range(len(user_ids)), return_dtype=pl.Int32),
    ).sort("user_index", "time", maintain_order=True)
    offsets = np.zeros(len(user_ids) + 1, np.int64)
    np.cumsum(np.bincount(events["user_index"].to_numpy(), minlength=len(user_ids)), out=offsets[1:])
    histories = Histories(offsets, *(events[column].to_numpy() for column in ("item_index", "time", "kind")))
    attributes = attributes_of(shop.attributes, item_ids)
    catalogue = Catalogue(
        titles=items["title"].to_list(),
        texts=[with_terms(text, attributes.terms(row)) for row, text in enumerate(items["text"])],
        categories=items["category"].to_list(),
        prices=items["price"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        first_seen=first_event_times(histories, len(item_ids)),
        recommendable=items["recommendable"].to_numpy(),
        attributes=attributes,
    )
    return Dataset(
        shop.name,
        Vocabulary.from_ids(item_ids),
        Vocabulary.from_ids(user_ids),
        catalogue,
        histories,
        chosen.kind,
        chosen.reason,
        liked_from,
    )
