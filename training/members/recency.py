"""Recency: the newest item of a history counts 1, and one `half_life` items older counts 0.5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.history import History


def recency_matrix(histories: Sequence[History], n_items: int, half_life: float) -> sparse.csr_matrix:
    """Each person's distinct items, weighted 0.5 ** (age / half_life).

    age: how many distinct items the person touched later. half_life: in items, > 0; inf weights all alike.
    Returns (n_people, n_items) float32 with rows in the order of `histories`.
    """
    distinct = [history.distinct() for history in histories]
    lengths = np.array([len(history) for history in distinct], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    columns = np.concatenate([np.zeros(0, np.int32), *(history.item_indices for history in distinct)])
    ages = np.repeat(offsets[1:], lengths) - 1 - np.arange(offsets[-1])
    weights = np.exp2(-ages / half_life).astype(np.float32)
    return sparse.csr_matrix((weights, columns, offsets), shape=(len(distinct), n_items))
