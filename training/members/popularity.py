"""Popularity: time-decayed interactions per item, the same for everybody; a baseline that is hard to beat."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.history import SECONDS_PER_DAY
from models.members.popularity import FittedPopularity
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Floats, Member


def decayed_popularity(interactions: Interactions, half_life_days: float) -> Floats:
    """Sum events per item, each weighted evidence * 0.5 ** (age in days / half_life_days); (n_items,) float32."""
    histories = interactions.histories
    age_days = (interactions.until - histories.times) / SECONDS_PER_DAY
    weights = np.exp2(-age_days / half_life_days) * interactions.evidence.of_tastes[histories.kinds]
    return np.bincount(histories.item_indices, weights, interactions.n_items).astype(np.float32)


@dataclass(config=STRICT)
class Popularity(Member):
    """Scores an item by log(1 + decayed events)."""

    half_life_days: float = Field(
        default=15.0,
        gt=0,
        le=3650,
        description="Age in days at which an event counts half; lowering it follows trends faster.",
    )
    name: ClassVar[str] = "popularity"
    scores_strangers: ClassVar[bool] = True
    scores_new_items: ClassVar[bool] = True
    is_personal: ClassVar[bool] = False

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Count the events of each item."""
        self._scores = np.log1p(decayed_popularity(interactions, self.half_life_days))
        return self

    def fitted(self) -> FittedPopularity:
        """Return the one row of scores that everybody gets."""
        return FittedPopularity(self._scores)

    def save(self, folder: Path) -> None:
        """Write the scores as one array."""
        np.save(folder / "popularity.npy", self._scores)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        member = cls()
        member._scores = np.load(folder / "popularity.npy")
        return member
