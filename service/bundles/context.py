"""The context that a stored history is read in: a bundle in service, or none before the first promotion."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.history import EncodedHistory, EventKind, History, encode_history
from models.student import Floats


class HistoryContext(Protocol):
    """The interface that `ServingBundle` and `NoBundle` share.

    version: the bundle's, "" for none. tag: stands for the version in stored vectors. item_keys: (n_items,) uint64 by
    item index. stranger: (1, n_factors), the vector of an empty history. target: the `EventKind` that the student
    predicts. liked_from: the lowest rating that speaks for an item, None if all do.
    """

    version: str
    tag: int
    item_keys: npt.NDArray[np.uint64]
    stranger: Floats
    n_factors: int
    target: int
    liked_from: float | None

    def encode(self, history: History) -> EncodedHistory:
        """Turn a history into the student's input."""

    def cold_history(self, user_id: str) -> History | None:
        """Return what the bundle knows of a person; None if nothing."""

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], n_bits: int) -> npt.NDArray[np.int32]:
        """Return item indices by the n_bits highest bits of their keys (n,), -1 for unknown items."""


class NoBundle:
    """Knows no item and no person, so that histories are stored from events, and erased, as usual. What is stored
    under its tag is merged with what the first bundle knows, once there is one.
    """

    version = ""
    tag = 0
    item_keys = np.zeros(0, np.uint64)
    stranger: Floats = np.zeros((1, 0), np.float32)
    n_factors = 0
    target = int(EventKind.PURCHASE)
    liked_from: float | None = None

    def encode(self, history: History) -> EncodedHistory:
        """Encode without a model of repeats, as no item is known."""
        return encode_history(history)

    def cold_history(self, user_id: str) -> None:
        """Return None, as no person is known."""

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], n_bits: int) -> npt.NDArray[np.int32]:
        """Return -1 for each key, as no item is known."""
        return np.full(len(keys), -1, np.int32)


NO_BUNDLE = NoBundle()
