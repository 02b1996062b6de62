"""Tells when somebody is due to buy an item again: milk every week, coffee every month, a fridge hardly ever.

The days between two purchases of one item by one person are taken as log-normal around the item's own typical length,
which training has drawn towards that of its category where the item has few (`training.ensemble.repurchase.py`). A
person's own intervals move it: after a few of them, it is their own rhythm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import MAX_COUNT, SECONDS_PER_DAY

MIN_SHARE: Final = 0.05
"""The share of buyers who have bought an item again, from which on anybody is told when it is due."""

REPURCHASE_ARRAYS: Final = ("repurchase_log_days", "repurchase_shares", "repurchase_strength")
"""The arrays of `RepurchaseClock`, by their names in a bundle."""

Floats = npt.NDArray[np.float32]


class Due(NamedTuple):
    """in_days: until the next purchase is due, below 0 if it is overdue. every_days: the typical interval, >= 1."""

    in_days: int
    every_days: int

    @property
    def reason(self) -> str:
        """Say in words how often the item is bought."""
        return "about every day" if self.every_days == 1 else f"about every {self.every_days} days"


@dataclass(frozen=True)
class RepurchaseClock:
    """Intervals by item_index.

    log_days: (n_items,) float32, mean log of the days between two purchases; NaN where nothing is known. shares:
    (n_items,) float32, share of buyers who bought the item again, 0 to 1. strength: (1,) float32, how many own
    intervals of a person weigh as much as what is known of the item; > 0.
    """

    log_days: Floats
    shares: Floats
    strength: Floats

    @staticmethod
    def none(n_items: int) -> RepurchaseClock:
        """Return the clock of a catalogue of which nothing is known."""
        return RepurchaseClock(
            np.full(n_items, np.nan, np.float32), np.zeros(n_items, np.float32), np.ones(1, np.float32)
        )

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> RepurchaseClock:
        """Read what `arrays()` returned, without copying it."""
        return RepurchaseClock(*(np.asarray(arrays[name], np.float32) for name in REPURCHASE_ARRAYS))

    def take(self, rows: npt.NDArray[np.integer]) -> RepurchaseClock:
        """Keep the items of these rows."""
        return RepurchaseClock(self.log_days[rows], self.shares[rows], self.strength)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the clock as named arrays, ready for a bundle."""
        return dict(zip(REPURCHASE_ARRAYS, (self.log_days, self.shares, self.strength), strict=True))

    def due(self, item: int, purchases: npt.NDArray[np.integer], now: float) -> Due | None:
        """Tell when an item is due; None if it is not known to be bought again, or was not bought.

        purchases: (n,) Unix seconds of the person's purchases of this item, in any order; those of one day are one.
        now: Unix seconds.
        """
        if not len(purchases):
            return None
        # No more moments are kept of a person, however their history comes.
        latest = np.unique(purchases)[-MAX_COUNT:]
        days = np.unique(latest // SECONDS_PER_DAY)
        own = np.log(np.diff(days))
        log_days, weight = float(self.log_days[item]), float(self.strength[0])
        if np.isnan(log_days) or (self.shares[item] < MIN_SHARE and not len(own)):
            if len(own) < 2:
                return None
            log_days, weight = 0.0, 0.0
        every = float(np.exp((weight * log_days + own.sum()) / (weight + len(own))))
        due_at = float(days[-1]) + every
        return Due(round(due_at - now // SECONDS_PER_DAY), max(1, round(every)))
