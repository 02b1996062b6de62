"""Popularity as it runs: one row of scores for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats, require


@dataclass(frozen=True)
class FittedPopularity(FittedMember):
    """scores: (n_items,) float32."""

    scores: Floats
    name: ClassVar[str] = "popularity"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.scores)

    def score(self, histories: Sequence[History]) -> Floats:
        """Return the same row for everybody."""
        return np.tile(self.scores, (len(histories), 1))

    def arrays(self) -> Arrays:
        """Return the scores."""
        return {"scores": self.scores}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read the scores."""
        require(arrays["scores"].ndim == 1, "popularity has one score an item")
        return cls(np.asarray(arrays["scores"]))
