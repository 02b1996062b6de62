"""A bundle prepared to serve: what requests need of it is computed once, when it is loaded.

A request takes one `ServingBundle` at its start and uses nothing else, so its answer is wholly from one version.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.bundles.bundle import Bundle
from models.bundles.golden import replay_golden
from models.bundles.variants import Variants
from models.history import Event, EventKind, History
from models.index import AllowedItems
from models.items import Items
from models.scan import kernel_in_use
from models.student import Floats, Student
from models.vocabulary import id_key
from service.contract import schemas

CACHED_LABELS = 65_536
FILTER_CACHE_BYTES = 64 * 2**20
MAX_FILTERS = 4096

Indices = npt.NDArray[np.int32]

Label: TypeAlias = "tuple[str, str | None]"
"""An item's id and its title; None if it has none."""


class ServingBundle:
    """One verified bundle with its student running.

    tag: 64 bits that stand for the version in stored vectors. popular: (n_items,) item indices by falling
    popularity. item_keys: (n_items,) uint64 keys by item index. stranger: (1, n_factors), the vector of an
    empty history. target: the `EventKind` that the student predicts. liked_from: the lowest rating that speaks for an
    item, None if all do. known_items: what lists do with own items where a request does not say it. n_recommendable:
    how many items may be recommended. labels: `Labels`. find_item: returns an item's index by its id, None if
    unknown. variants: the ensemble and its members, None until an experiment needs them.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.tag = id_key(bundle.version)
        self.items = bundle.items
        self.people = bundle.people
        self.student: Student = bundle.load_student()
        self.n_factors, self.encode = self.student.n_factors, self.student.encode
        entry = bundle.manifest.student
        self.target, self.liked_from = int(EventKind[entry.target.upper()]), entry.liked_from
        self.known_items = bundle.manifest.known_items
        self.popular = np.argsort(-bundle.items.popularity, kind="stable").astype(np.int32)
        self.item_keys = bundle.items.vocabulary.keys_by_index()
        self.stranger = as_stored(self.student.user_vectors([History.empty()]))
        self.labels = Labels(bundle.items)
        self.find_item = lru_cache(CACHED_LABELS)(bundle.items.vocabulary.find)
        filter_bytes = len(bundle.items) // 5 + 1  # four bytes for one item in twenty, or a bit for each
        n_filters = max(1, min(FILTER_CACHE_BYTES // filter_bytes, MAX_FILTERS))
        self.variants: Variants | None = None
        self._recommendable = bundle.items.recommendable
        self.n_recommendable = (
            len(self.items) if self._recommendable is None else self._recommendable.n_allowed
        )
        self._allowed = lru_cache(n_filters)(partial(_allowed_items, bundle.items))

    def replay_golden(self) -> None:
        """Raise GoldenMismatch if the student answers differently from when the bundle was written."""
        replay_golden(self.student, self.bundle.text_encoder, self.bundle.golden, self.items.recommendable)

    def warm_up(self, max_batch: int) -> None:
        """Run the student at the smallest and the largest batch, so that no request pays for first calls."""
        history = History.from_events(
            Event(index, index, EventKind.VIEW) for index in range(min(len(self.items), 10))
        )
        for size in (1, max_batch, 1):
            self.student.recommend([history] * size, 10, allowed=self.allowed(None))
        self.items.allowed_items(max_price=0.0)  # builds the indexes of filters

    def load_variants(self, *, is_gentle: bool = False) -> None:
        """Verify the ensemble and its members, and keep them for the scorer. Takes a second: not for the event loop.

        Raises VariantUnknown for a bundle of the student alone, a BundleError for one that does not verify.
        """
        if self.variants is None:
            self.variants = self.bundle.load_variants(is_gentle=is_gentle)

    def cold_history(self, user_id: str) -> History | None:
        """Return what the bundle knows of a person; None if nothing."""
        return self.people.find(user_id)

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], n_bits: int) -> Indices:
        """Return item indices by the n_bits highest bits of their keys (n,), -1 for unknown items."""
        return self.items.vocabulary.indices_of_keys(keys, n_bits=n_bits)

    def index_labels(self) -> tuple[str, ...]:
        """Describe how the catalogue is searched: kind, items, lists, lists per search, instructions."""
        index = self.student.index
        return (index.kind, str(len(self.items)), str(index.n_lists), str(index.n_probes), kernel_in_use())

    def allowed(self, wanted: schemas.Filter | None) -> AllowedItems | None:
        """Return the available items that a filter passes, the same object for the same filter; None for all items.

        All answers get their candidates here, so a catalogue that changes while it is served would be handled here.
        """
        if wanted is None or wanted == schemas.Filter():
            return self._recommendable
        categories = None if wanted.categories is None else frozenset(wanted.categories)
        return self._allowed(categories, wanted.min_price, wanted.max_price)

    def allowed_among(self, item_indices: Indices, allowed: AllowedItems | None) -> AllowedItems:
        """Return those of a few items (n,), in any order, that `allowed` has; None has all."""
        found = np.sort(item_indices)
        if allowed is not None:
            found = found[allowed.contains(found)]
        return AllowedItems.of(found, len(self.items))


class Labels(dict[int, Label]):
    """Labels by item index.

    They are read from the bundle once, which takes 10 µs; this is a dictionary because every item of every answer is
    looked up. When full it starts anew: a shop shows far fewer items at a time.
    """

    def __init__(self, items: Items) -> None:
        self._items = items

    def of(self, item_indices: Indices) -> list[Label]:
        """Return the labels of (n,) items."""
        return list(map(self.__getitem__, item_indices.tolist()))

    def __missing__(self, item_index: int) -> Label:
        if len(self) >= CACHED_LABELS:
            self.clear()
        label = (self._items.vocabulary.id_of(item_index), self._items.titles[item_index] or None)
        self[item_index] = label
        return label


def _allowed_items(
    items: Items, categories: frozenset[str] | None, min_price: float | None, max_price: float | None
) -> AllowedItems:
    found = items.allowed_items(categories, min_price, max_price)
    if items.recommendable is not None:
        found = found[items.available[found]]
    return AllowedItems.of(found, len(items))


def as_stored(vectors: Floats) -> Floats:
    """Round to what a stored vector keeps (float16), so that fresh and cached vectors score alike."""
    return vectors.astype(np.float16).astype(np.float32)
