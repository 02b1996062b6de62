"""Neighbours' baskets: "people who shop like this person take", the neighbours' half of TIFU-kNN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.kept_history import kept_history
from models.members.neighbours import FittedNeighbours, frequencies
from models.members.rows import SparseRows
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.member import Member


@dataclass(config=STRICT)
class Neighbours(Member):
    """Scores an item by how often the nearest people took it, lately more."""

    n_nearest: int = Field(
        default=300, ge=1, le=100_000, description="Number of people who are asked; raising it blurs tastes."
    )
    max_people: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Maximum number of people among whom neighbours are sought, drawn by seed; each costs time in "
        "every answer and place in the bundle.",
    )
    name: ClassVar[str] = "neighbours"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Compute the frequencies of everybody who took something, or of `max_people` of them."""
        target = int(interactions.evidence.target)
        has_taken = [bool((history.kinds == target).any()) for history in interactions.histories]
        people = np.flatnonzero(has_taken)
        if len(people) > self.max_people:
            people = np.sort(np.random.default_rng(seed).choice(people, self.max_people, replace=False))
        kept = (kept_history(interactions.histories[person]) for person in people.tolist())
        rows = [frequencies(history, target) for history in kept]
        offsets = np.append(0, np.cumsum([len(row.items) for row in rows]))
        columns = np.concatenate([np.zeros(0, np.int32), *(row.items for row in rows)])
        values = np.concatenate([np.zeros(0, np.float32), *(row.values for row in rows)])
        matrix = SparseRows(offsets.astype(np.int64), columns, values, interactions.n_items)
        self._fitted = FittedNeighbours(matrix, self.n_nearest, target)
        progress(1.0, f"{len(people):,} people")
        return self

    def fitted(self) -> FittedNeighbours:
        """Return people's rows."""
        return self._fitted

    def save(self, folder: Path) -> None:
        """Write people's rows."""
        arrays: dict[str, Any] = self._fitted.arrays()
        np.savez(folder / "neighbours.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "neighbours.npz") as arrays:
            member = cls()
            member._fitted = FittedNeighbours.from_arrays({name: arrays[name] for name in arrays.files})
        return member
