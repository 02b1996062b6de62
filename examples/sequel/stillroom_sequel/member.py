"""The member as it is fitted: count which item came right after which."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from stillroom_sequel.fitted import FittedSequel
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.data.dataset import Interactions, people_of_events
from training.members.member import Member
from training.members.recency import sparse_rows


@dataclass(config=STRICT)
class Sequel(Member):
    """A first-order Markov chain over items: what people take right after another one."""

    n_last: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Number of a person's latest items that are used; 1 is a plain Markov chain.",
    )
    name: ClassVar[str] = "sequel"

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Count neighbours in time; nothing random."""
        items, people = interactions.histories.item_indices, people_of_events(interactions.histories)
        is_pair = (people[1:] == people[:-1]) & (items[1:] != items[:-1])
        before, after = items[:-1][is_pair], items[1:][is_pair]
        shape = (interactions.n_items, interactions.n_items)
        counts = sparse.csr_matrix((np.ones(len(before), np.float32), (before, after)), shape=shape)
        counts.sum_duplicates()
        counts.data = np.log1p(counts.data)
        self._fitted = FittedSequel(sparse_rows(counts), interactions.item_counts() > 0, self.n_last)
        progress(1.0, f"{counts.nnz:,} pairs")
        return self

    def fitted(self) -> FittedSequel:
        """What was counted."""
        return self._fitted

    def save(self, folder: Path) -> None:
        """Write the arrays that a bundle would have."""
        for name, array in self._fitted.arrays().items():
            np.save(folder / f"sequel.{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them."""
        files = {file.name.split(".")[1]: file for file in folder.glob("sequel.*.npy")}
        fitted = FittedSequel.from_arrays({name: np.load(file) for name, file in files.items()})
        member = cls(n_last=fitted.n_last)
        member._fitted = fitted
        return member
