"""Walk through all events and record each item's features at each moment (models/item_timeline.py)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY
from models.item_timeline import ITEM_FEATURES
from models.item_timeline import ItemTimeline as FittedTimeline
from training.data.dataset import Interactions

HALF_LIVES_DAYS = (7.0, 30.0, np.inf)
MAX_MOMENTS = 400
"""The most moments recorded: 400 moments x 4,000 items x 5 features in float16 are 16 MB."""
MOST_VALUES = 40_000_000
"""The most items times moments: above 100,000 items there are fewer moments, and no more than 400 MB."""
LONGEST_DAYS = 3650.0
"""The number of days that an item without events counts as idle."""


class ItemTimeline(FittedTimeline):
    """A timeline that is built from events."""

    @staticmethod
    def of(interactions: Interactions) -> ItemTimeline:
        """Walk through all events once, from the first moment to `until`."""
        times, until = interactions.histories.times, interactions.until
        if interactions.prediction_time == "now" or not len(times):
            moments, step_seconds = np.array([until]), 0
        else:
            span = until - int(times.min())
            n_moments = max(2, min(MAX_MOMENTS, MOST_VALUES // max(interactions.n_items, 1)))
            step_seconds = max(int(SECONDS_PER_DAY), -(-span // (n_moments - 1)))
            moments = until - step_seconds * np.arange(-(-span // step_seconds), -1, -1)  # oldest first
        return ItemTimeline(_walk(interactions, moments)[::-1], until, step_seconds)


def _walk(interactions: Interactions, moments: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
    """Compute features at ascending moments, (n_moments, n_items, n_features); popularity decays between them."""
    order = np.argsort(interactions.histories.times, kind="stable")
    times = interactions.histories.times[order]
    items, n_items = interactions.histories.item_indices[order], interactions.n_items
    is_target = interactions.histories.kinds[order] == interactions.evidence.target
    ends = np.searchsorted(times, moments)  # events strictly before each moment
    popularity = np.zeros((len(HALF_LIVES_DAYS), n_items))
    last_seen = np.full(n_items, -np.inf)
    first_seen = np.full(n_items, np.inf)
    values = np.empty((len(moments), n_items, len(ITEM_FEATURES)), np.float16)
    begin, before = 0, int(moments[0])
    for row, (moment, end) in enumerate(zip(moments.tolist(), ends.tolist(), strict=True)):
        span = slice(begin, end)
        for position, half_life in enumerate(HALF_LIVES_DAYS):
            ages = (moment - times[span]) / SECONDS_PER_DAY
            popularity[position] *= np.exp2(-(moment - before) / SECONDS_PER_DAY / half_life)
            weights = np.exp2(-ages / half_life) * is_target[span]
            popularity[position] += np.bincount(items[span], weights, n_items)
        np.maximum.at(last_seen, items[span], times[span])
        np.minimum.at(first_seen, items[span], times[span])
        idle = np.minimum((moment - last_seen) / SECONDS_PER_DAY, LONGEST_DAYS)
        age = np.maximum((moment - first_seen) / SECONDS_PER_DAY, 0.0)  # 0 for items without events so far
        values[row] = np.stack([*np.log1p(popularity), np.log1p(idle), np.log1p(age)], axis=1)
        begin, before = end, moment
    return values
