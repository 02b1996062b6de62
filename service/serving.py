"""A bundle made ready to serve: what requests need of it, computed once when it is loaded.

A request takes one `ServingBundle` at its start and uses nothing else, so its answer is wholly of one version.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.golden import replay_golden
from models.history import Event, EventKind, History
from models.student import Floats, Student
from models.vocabulary import id_key
from service import schemas

CACHED_LABELS = 65_536
FILTER_CACHE_BYTES = 64 * 2**20

Indices = npt.NDArray[np.int32]


class ServingBundle:
    """One verified bundle with its student running.

    tag: 64 bits that stand for the version in stored vectors. popular: (n_items,) item indices by falling
    popularity. item_keys: (n_items,) uint64 keys by item index. stranger: (1, n_factors), the vector of an
    empty history.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.tag = id_key(bundle.version)
        self.items = bundle.items
        self.people = bundle.people
        self.student: Student = bundle.load_student()
        self.popular = np.argsort(-bundle.items.popularity, kind="stable").astype(np.int32)
        self.item_keys = bundle.items.vocabulary.keys_by_index()
        self.stranger = as_stored(self.student.user_vectors([History.empty()]))
        self.label = lru_cache(CACHED_LABELS)(self._label)
        n_filters = max(1, FILTER_CACHE_BYTES // (4 * max(1, len(bundle.items))))
        self._penalty = lru_cache(min(n_filters, 256))(self._compute_penalty)

    def replay_golden(self) -> None:
        """Raises GoldenMismatch if the student answers differently from when the bundle was written."""
        replay_golden(self.student, self.bundle.text_encoder, self.bundle.golden)

    def warm_up(self, max_batch: int) -> None:
        """Run the student at the smallest and the largest batch, so that no request pays for first times."""
        history = History.from_events(
            Event(index, index, EventKind.VIEW) for index in range(min(len(self.items), 10))
        )
        for size in (1, max_batch, 1):
            self.student.recommend([history] * size, 10, blocked=[history.item_indices] * size)

    def penalty(self, wanted: schemas.Filter | None) -> Floats | None:
        """What a filter adds to every score: 0 or -inf; (n_items,), the same array for the same filter."""
        if wanted is None or wanted == schemas.Filter():
            return None
        categories = None if wanted.categories is None else frozenset(wanted.categories)
        return self._penalty(categories, wanted.min_price, wanted.max_price)

    def _compute_penalty(
        self, categories: frozenset[str] | None, min_price: float | None, max_price: float | None
    ) -> Floats:
        allowed = self.items.allowed(categories, min_price, max_price)
        return np.where(allowed, np.float32(0), np.float32(-np.inf))

    def _label(self, item_index: int) -> tuple[str, str | None]:
        """An item's id and title; None for no title. Cached: reading them from the bundle costs 10 µs."""
        return self.items.vocabulary.id_of(item_index), self.items.titles[item_index] or None


def as_stored(vectors: Floats) -> Floats:
    """Round to what a stored vector keeps (float16), so a fresh vector and a cached one score alike."""
    return vectors.astype(np.float16).astype(np.float32)
