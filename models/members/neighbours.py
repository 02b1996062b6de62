"""Neighbours' baskets as they run: what the people most like somebody take, over and over and lately.

The neighbours' half of TIFU-kNN (Hu et al. 2020, doi 10.1145/3397271.3401066), with angles for distances, which take
who bought little for everybody's neighbour. A person is a vector of decayed item frequencies; the mean vector of the
people in the nearest directions is the score. The own half, how often the person took the item, is a
plain feature of the ensemble (`models/ensemble/meta_features.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, History
from models.kept_history import kept_history
from models.members.member import Arrays, FittedMember, Floats, require
from models.members.rows import Indices, SparseRows

N_GROUPS = 7
DECAY_IN_GROUP, DECAY_OF_GROUPS = 0.9, 0.7
"""The settings of frequencies that Hu et al. found for groceries like those of most shops that sell again."""


class Frequencies(NamedTuple):
    """One person's items, each once and rising, (n,) int32, and how often each was taken lately, (n,) float32."""

    items: Indices
    values: Floats


def frequencies(history: History, target: int) -> Frequencies:
    """Weigh each basket by its place in its group of baskets and by the group's place, and sum by item.

    A basket is what was taken on one day; the baskets are cut into `N_GROUPS` groups in time. An item of every basket
    has the largest value there is, below 1. target: the kind of event that takes.
    """
    own = history.kinds == target
    items = history.item_indices[own]
    days, basket = np.unique(history.times[own] // int(SECONDS_PER_DAY), return_inverse=True)
    pairs = np.unique(items.astype(np.int64) * max(len(days), 1) + basket)
    of_pairs, basket = np.divmod(pairs, max(len(days), 1))
    size = max(1, -(-len(days) // N_GROUPS))
    group, in_group = np.divmod(len(days) - 1 - np.arange(len(days)), size)  # both counted from the end
    n_groups = int(group.max(initial=0)) + 1
    of_baskets = DECAY_IN_GROUP**in_group * DECAY_OF_GROUPS**group / size / n_groups
    distinct, entries = np.unique(of_pairs, return_inverse=True)
    values = np.bincount(entries, of_baskets[basket], len(distinct))
    return Frequencies(distinct.astype(np.int32), values.astype(np.float32))


@dataclass(frozen=True)
class FittedNeighbours(FittedMember):
    """people: a row of frequencies for each person that was kept, nobody's row empty. n_nearest: how many people are
    asked. target: the kind of event that takes an item.
    """

    people: SparseRows
    n_nearest: int
    target: int
    name: ClassVar[str] = "neighbours"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return self.people.n_columns

    def score(self, histories: Sequence[History]) -> Floats:
        """Return the mean frequencies of the nearest people, by cosine.

        NaN for people who took nothing and items that nobody took. As in the rows, only the events count that bundles
        and caches keep.
        """
        scores = np.full((len(histories), self.n_items), np.nan, np.float32)
        n_nearest = min(self.n_nearest, len(self.people))
        for row, history in enumerate(histories):
            own = frequencies(kept_history(history), self.target)
            if len(own.items) and n_nearest:
                products, _ = self._people_of_items.weighted_sum(own.items, own.values)
                cosines = products * self._shares  # but for the own length, which is the same for all
                nearest = np.argpartition(-cosines, n_nearest - 1)[:n_nearest].astype(np.int32)
                nearest.sort()
                scores[row] = self.people.weighted_sum(nearest, np.full(n_nearest, 1 / n_nearest))[0]
        scores[:, self._people_of_items.lengths() == 0] = np.nan
        return scores

    def arrays(self) -> Arrays:
        """Return people's rows."""
        return {
            **self.people.arrays(),
            "asked": np.array([self.n_nearest, self.target, self.n_items], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read people's rows."""
        n_nearest, target, n_items = arrays["asked"].tolist()
        require(n_nearest >= 1, f"neighbours asks {n_nearest} people, at least 1 is needed")
        return cls(SparseRows.from_arrays(arrays, n_items), n_nearest, target)

    @cached_property
    def _people_of_items(self) -> SparseRows:
        """The same by item: a row has the people who took it."""
        order = np.argsort(self.people.columns, kind="stable")
        n_of_items = np.bincount(self.people.columns, minlength=self.n_items)
        people = np.repeat(np.arange(len(self.people), dtype=np.int32), self.people.lengths())
        offsets = np.append(0, np.cumsum(n_of_items))
        return SparseRows(offsets, people[order], self.people.values[order], len(self.people))

    @cached_property
    def _shares(self) -> Floats:
        """One through each person's length; (n_people,)."""
        people = np.repeat(np.arange(len(self.people), dtype=np.int32), self.people.lengths())
        squares = np.bincount(people, self.people.values**2, len(self.people))
        return (1 / np.sqrt(squares)).astype(np.float32)
