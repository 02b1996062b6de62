"""Where the student's co-occurrence term begins: the strongest neighbours of each item, from an item-item member."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.members.member import Floats

ROWS_AT_ONCE = 128
"""History items whose rows are dense together: 51 MB for 100,000 items."""

STARTING_LOGITS = 0.5
"""Mean boost by an item's strongest neighbour at first. From 0 the first epochs only find what the member knows."""


@dataclass(frozen=True)
class Neighbours:
    """Few entries of an (n_items, n_items) matrix: rows are history items, columns what they speak for.

    item_indices: (n_items, n_neighbours) int32. weights: (n_items, n_neighbours) float32 logits, >= 0; 0 where an
    item has fewer neighbours.
    """

    item_indices: npt.NDArray[np.int32]
    weights: Floats


def strongest_neighbours(item_items: Floats | sparse.csr_matrix, n_neighbours: int) -> Neighbours:
    """The `n_neighbours` largest positive entries of each row, off the diagonal, scaled to logits.

    item_items: (n_items, n_items), dense or sparse, on any scale: what a history item says of each other. Beyond
    its positive entries an item's neighbours are item 0 with weight 0.
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
    return Neighbours(indices, weights * _logits_per_unit(weights))


def _logits_per_unit(weights: Floats) -> np.float32:
    strongest = weights.max(axis=1, initial=0)
    has_any = strongest > 0
    return np.float32(STARTING_LOGITS / strongest[has_any].mean() if has_any.any() else 0)
