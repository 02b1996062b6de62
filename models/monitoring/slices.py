"""The parts of the traffic that are judged separately: by length of history, and by how popular its items are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.history import History

ALL = "all"
HISTORY_BANDS = ((0, "history 0"), (1, "history 1-4"), (5, "history 5-19"), (20, "history 20+"))
"""The bands by number of distinct items: the lowest number of each."""

POPULARITY_BANDS = ("popular items", "middling items", "rare items")

NAMES = (ALL, *(name for _, name in HISTORY_BANDS), *POPULARITY_BANDS)


def popularity_bounds(histories: Sequence[History], ranks: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return bounds that divide histories into POPULARITY_BANDS of equal size. ranks: (n_items,) by popularity."""
    typical = [typical_rank(history, ranks) for history in histories if len(history)]
    low, high = np.quantile(typical, [1 / 3, 2 / 3]) if typical else (0.0, 0.0)
    return float(low), float(high)


def typical_rank(history: History, ranks: npt.NDArray[np.int64]) -> float:
    """Return the median popularity rank of a history's items."""
    return float(np.median(ranks[history.item_indices]))


def slices_of(history: History, ranks: npt.NDArray[np.int64], bounds: Sequence[float]) -> list[str]:
    """Return the slices that a request with this history belongs to; an empty history has no popularity band."""
    n_distinct = len(np.unique(history.item_indices))
    band = [name for lowest, name in HISTORY_BANDS if n_distinct >= lowest][-1]
    if not n_distinct:
        return [ALL, band]
    rank = typical_rank(history, ranks)
    return [ALL, band, POPULARITY_BANDS[sum(rank > bound for bound in bounds)]]
