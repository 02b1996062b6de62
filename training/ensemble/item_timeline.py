"""Plain features of items as they stood at a moment: how popular, how fresh, how long unseen.

Where a protocol asks everybody at one moment (`asked_at` "now"), that moment is all there is. Where it asks at each
person's last event, features are kept on a grid of moments, and a question sees the latest one not after its own:
only events strictly before count, so a question never learns from its own answer or from what came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, History
from training.data.dataset import Interactions
from training.ensemble.opinions import Indices
from training.members.member import Floats

ITEM_FEATURES = (
    "log_popularity_7d",
    "log_popularity_30d",
    "log_popularity_all",
    "item_idle_log_days",
    "item_age_log_days",
)
HALF_LIVES_DAYS = (7.0, 30.0, np.inf)
MAX_MOMENTS = 400
"""400 moments x 4,000 items x 5 features in float16 are 16 MB."""
LONGEST_DAYS = 3650.0
"""How long an item without events counts as idle."""


@dataclass(frozen=True)
class ItemTimeline:
    """values: (n_moments, n_items, n_features) float16, `ITEM_FEATURES`; row k is `until` minus k steps.

    until: Unix seconds. step_seconds: between two moments; 0 where there is only one.
    """

    values: npt.NDArray[np.float16]
    until: int
    step_seconds: int

    @staticmethod
    def of(interactions: Interactions) -> ItemTimeline:
        """Walk through all events once, from the first moment to `until`."""
        times, until = interactions.histories.times, interactions.until
        if interactions.asked_at == "now" or not len(times):
            moments, step_seconds = np.array([until]), 0
        else:
            span = until - int(times.min())
            step_seconds = max(int(SECONDS_PER_DAY), -(-span // (MAX_MOMENTS - 1)))
            moments = until - step_seconds * np.arange(-(-span // step_seconds), -1, -1)  # oldest first
        return ItemTimeline(_walk(interactions, moments)[::-1], until, step_seconds)

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.values.shape[1]

    def at(self, histories: Sequence[History], items: Indices | None = None) -> Floats:
        """Features when each question is asked; (n_people, n_items, n_features), one row if all share a moment.

        items: (n_people, n_asked), some items of each; then (n_people, n_asked, n_features).
        """
        if items is not None:
            return self.values[self.rows(histories)[:, None], items].astype(np.float32)
        rows = self.rows(histories) if self.step_seconds else np.zeros(1, np.int64)
        return self.values[rows].astype(np.float32)

    def rows(self, histories: Sequence[History]) -> npt.NDArray[np.int64]:
        """Which row of the values each question sees; (n_people,)."""
        if not self.step_seconds:
            return np.zeros(len(histories), np.int64)
        moments = np.array([history.times[-1] if len(history) else self.until for history in histories])
        return np.clip(-((moments - self.until) // self.step_seconds), 0, len(self.values) - 1)

    def save(self, folder: Path) -> None:
        """Write them as one file."""
        np.savez(
            folder / "item_timeline.npz",
            values=self.values,
            moments=np.array([self.until, self.step_seconds]),
        )

    @staticmethod
    def load(folder: Path) -> ItemTimeline:
        """Read what `save` wrote."""
        with np.load(folder / "item_timeline.npz") as arrays:
            until, step_seconds = arrays["moments"].tolist()
            return ItemTimeline(arrays["values"], until, step_seconds)


def _walk(interactions: Interactions, moments: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
    """Features at rising moments, (n_moments, n_items, n_features): popularity decays from one to the next."""
    order = np.argsort(interactions.histories.times, kind="stable")
    times = interactions.histories.times[order]
    items, n_items = interactions.histories.item_indices[order], interactions.n_items
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
            popularity[position] += np.bincount(items[span], np.exp2(-ages / half_life), n_items)
        np.maximum.at(last_seen, items[span], times[span])
        np.minimum.at(first_seen, items[span], times[span])
        idle = np.minimum((moment - last_seen) / SECONDS_PER_DAY, LONGEST_DAYS)
        age = np.maximum((moment - first_seen) / SECONDS_PER_DAY, 0.0)  # 0 for what nobody has touched yet
        values[row] = np.stack([*np.log1p(popularity), np.log1p(idle), np.log1p(age)], axis=1)
        begin, before = end, moment
    return values
