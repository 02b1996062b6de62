"""What a stored history is read for: a bundle in service, or none before the first one is promoted."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.history import MAX_EVENTS, History
from models.student import Floats


class HistoryContext(Protocol):
    """What `ServingBundle` and `NoBundle` have in common.

    version: of the bundle, "" for none. tag: stands for it in stored vectors. item_keys: (n_items,) uint64 by item
    index. stranger: (1, n_factors), the vector of an empty history. max_events: that the student reads.
    """

    version: str
    tag: int
    item_keys: npt.NDArray[np.uint64]
    stranger: Floats
    max_events: int
    n_factors: int

    def cold_history(self, user_id: str) -> History | None:
        """What the bundle knows of a person, None for nothing."""

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], n_bits: int) -> npt.NDArray[np.int32]:
        """Item indices by the n_bits highest bits of their keys (n,), -1 where it knows none."""


class NoBundle:
    """Knows no item and nobody, so that people learn from their events and are forgotten as ever. What is stored
    under its tag is merged with what the first bundle knows, once there is one.
    """

    version = ""
    tag = 0
    item_keys = np.zeros(0, np.uint64)
    stranger: Floats = np.zeros((1, 0), np.float32)
    max_events = MAX_EVENTS
    n_factors = 0

    def cold_history(self, user_id: str) -> None:
        """Nobody is known."""

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], n_bits: int) -> npt.NDArray[np.int32]:
        """No item is known."""
        return np.full(len(keys), -1, np.int32)


NO_BUNDLE = NoBundle()
