"""Serve the bundle's student by one function, for peers that run the same model on another stack.

People's vectors are kept in memory after their first request, as the service keeps them, so that peers and service
differ in the stack and not in diligence.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from loadtest.peers.setting import PeerSetting
from models.bundles.bundle import read_bundle
from models.bundles.registry import Registry
from models.history import History
from models.scan import ScanQuery

N_CACHED_PEOPLE = 20_000
N_CACHED_LABELS = 65_536


class SameStudent:
    """The student of a store's promoted bundle, which is read and verified; for one thread."""

    def __init__(self, setting: PeerSetting) -> None:
        registry = Registry(setting.store)
        self._bundle = read_bundle(registry.path(registry.current()))
        self._student = self._bundle.load_student()
        self._query = lru_cache(N_CACHED_PEOPLE)(self._make_query)
        self._label = lru_cache(N_CACHED_LABELS)(self._read_label)

    def recommend(self, user_id: str, limit: int) -> list[dict[str, Any]]:
        """Return the best items, best first, in the service's words: item_id, score, title."""
        [items], [scores] = self._student.top_k([self._query(user_id)], limit)
        pairs = zip(items.tolist(), scores.tolist(), strict=True)
        return [{**self._label(item), "score": score} for item, score in pairs if item >= 0]

    def _make_query(self, user_id: str) -> ScanQuery:
        history = self._bundle.people.find(user_id) or History.empty()
        encoded = self._student.encode(history)
        [vector] = self._student.vectors_of([encoded])
        # A stored vector is float16; the service rounds before it scores, so that all vectors score alike.
        rounded = vector.astype(np.float16).astype(np.float32)
        return ScanQuery(rounded, encoded)

    def _read_label(self, item_index: int) -> dict[str, Any]:
        items = self._bundle.items
        return {"item_id": items.vocabulary.id_of(item_index), "title": items.titles[item_index] or None}
