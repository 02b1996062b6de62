"""Starting point of the student's co-occurrence term: each item's strongest neighbours by an item-item member."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.members.recency import ALIKE
from training.members.member import Floats

ROWS_AT_ONCE = 128
"""Number of history items whose rows are made dense at once: 51 MB for 100,000 items."""

STARTING_LOGITS = 0.5
"""Mean logit that an item's strongest neighbour gets before training. Starting from 0, the first epochs would only
rediscover what the member knows."""


@dataclass(frozen=True)
class Neighbours:
    """The few largest entries of an (n_items, n_items) matrix, whose rows are history items that boost the columns.

    item_indices: (n_items, n_neighbours) int32. weights: (n_items, n_neighbours) float32 logits, >= 0; 0 where an
    item has fewer neighbours. evidence: (N_KIND_CODES,), how much each kind of event says.
    """

    item_indices: npt.NDArray[np.int32]
    weights: Floats
    evidence: Floats = field(default_factory=lambda: ALIKE)


def strongest_neighbours(
    item_items: Floats | sparse.csr_matrix, n_neighbours: int, evidence: Floats = ALIKE
) -> Neighbours:
    """Keep the `n_neighbours` largest positive off-diagonal entries of each row, scaled to logits.

    item_items: (n_items, n_items), dense or sparse, on any scale: how much a history item supports each other item.
    A row with fewer positive entries is filled up with item 0 at weight 0.
    """
    n_items = item_items.shape[0]
    n_kept = min(n_neighbours, n_items)
    indices = np.zeros((n_items, n_neighbours), np.int32)
    weights = np.zeros((n_items, n_neighbours), np.float32)
    for start in range(0, n_items, ROWS_AT_ONCE):
        block = item_items[start : start + ROWS_AT_ONCE]
        dense = np.maximum(block.toarray() if sparse.issparse(block) else block, 0).astype(np.float32)
        dense[np.arange(len(dense)), start + np.arange(len(dense))] = 0
        kept = (
            np.argpartition(-dense, n_kept - 1, axis=1)[:, :n_kept] if n_kept else indices[: len(dense), :0]
        )
        strength = np.take_along_axis(dense, kept, axis=1)
        indices[start : start + len(dense), :n_kept] = np.where(strength > 0, kept, 0)
        weights[start : start + len(dense), :n_kept] = strength
    return Neighbours(indices, weights * _logits_per_unit(weights), evidence)


def _logits_per_unit(weights: Floats) -> np.float32:
    strongest = weights.max(axis=1, initial=0)
    has_any = strongest > 0
    return np.float32(STARTING_LOGITS / strongest[has_any].mean() if has_any.any() else 0)
