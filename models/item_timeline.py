"""Plain features of items as they stood at a moment: how popular, how fresh, how long unseen.

If a protocol predicts for everybody at one moment (`prediction_time` "now"), as a service does, there is only that
moment. If it predicts at a moment of each person's own, features are kept on a grid of moments, and a question sees
the latest one that is not after its own: only events strictly before count, so a question never learns from its own
answer or from later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.history import History

Floats = npt.NDArray[np.float32]

ITEM_FEATURES = (
    "log_popularity_7d",
    "log_popularity_30d",
    "log_popularity_all",
    "item_idle_log_days",
    "item_age_log_days",
)


@dataclass(frozen=True)
class ItemTimeline:
    """values: (n_moments, n_items, n_features) float16, `ITEM_FEATURES`; row k is `until` minus k steps.

    until: Unix seconds. step_seconds: the time between two moments; 0 if there is only one.
    """

    values: npt.NDArray[np.float16]
    until: int
    step_seconds: int

    @staticmethod
    def unknown(n_items: int) -> ItemTimeline:
        """Return one moment at which nothing is known of any item."""
        return ItemTimeline(np.zeros((1, n_items, len(ITEM_FEATURES)), np.float16), 0, 0)

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return self.values.shape[1]

    def at(self, histories: Sequence[History], items: npt.NDArray[np.integer[Any]] | None = None) -> Floats:
        """Return features at the time of each question; (n_people, n_items, n_features), one row if all share it.

        items: (n_people, n_asked), chosen items of each; then (n_people, n_asked, n_features).
        """
        if items is not None:
            return self.values[self.rows(histories)[:, None], items].astype(np.float32)
        rows = self.rows(histories) if self.step_seconds else np.zeros(1, np.int64)
        return self.values[rows].astype(np.float32)

    def rows(self, histories: Sequence[History]) -> npt.NDArray[np.int64]:
        """Return which row of the values each question sees; (n_people,)."""
        if not self.step_seconds:
            return np.zeros(len(histories), np.int64)
        moments = [each.asked_at or int(each.times[-1]) if len(each) else self.until for each in histories]
        return np.array([self.row_at(moment) for moment in moments], np.int64)

    def row_at(self, moment: int) -> int:
        """Return which row of the values a question sees that is asked at a moment, in Unix seconds."""
        if not self.step_seconds:
            return 0
        return int(np.clip(-((moment - self.until) // self.step_seconds), 0, len(self.values) - 1))

    def latest(self) -> ItemTimeline:
        """Keep the last moment alone: what a question of today sees, whenever the person's own last event was."""
        return ItemTimeline(self.values[:1], self.until, 0)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return named arrays for a bundle."""
        return {"values": self.values, "moments": np.array([self.until, self.step_seconds], np.int64)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> ItemTimeline:
        """Read what `arrays` returned, without copying it."""
        until, step_seconds = arrays["moments"].tolist()
        return ItemTimeline(np.asarray(arrays["values"]), until, step_seconds)
