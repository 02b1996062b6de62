"""Choose the labelled pairs on which strategies are compared: the same for all, so that differences are paired.

NDCG@10 and AUC per person rank each taken pair against at most 99 of that person's others. Accuracy, pooled AUC and
calibration use balanced pairs: as many others as taken ones of each person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.ensemble.strategy import Labels, People
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.places import Places, ndcg_of_one, places_against

MAX_OTHERS = 99
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AskedPairs:
    """Rows of pairs, drawn once. taken, others: one array per person who has both. balanced: (n_balanced,)."""

    taken: list[Rows]
    others: list[Rows]
    balanced: Rows

    @staticmethod
    def draw(labels: Labels, people: People, rng: np.random.Generator) -> AskedPairs:
        """Draw from all pairs; people who have pairs of one label only are left out."""
        taken, others, balanced = [], [], []
        order = np.argsort(people, kind="stable")
        starts = np.flatnonzero(np.diff(people[order])) + 1
        for rows in np.split(order, starts):
            its_taken, its_others = rows[labels[rows]], rng.permutation(rows[~labels[rows]])
            n_balanced = min(len(its_taken), len(its_others))
            if n_balanced > 0:
                taken.append(its_taken)
                others.append(its_others[:MAX_OTHERS])
                balanced += [rng.permutation(its_taken)[:n_balanced], its_others[:n_balanced]]
        return AskedPairs(taken, others, np.concatenate([np.zeros(0, np.int64), *balanced]))

    def __len__(self) -> int:
        """Number of people who are asked about."""
        return len(self.taken)

    def ndcg(self, logits: Floats, k: int = 10) -> metrics.Doubles:
        """Compute each person's mean NDCG@k; (n_people,)."""
        return np.array([ndcg_of_one(places, k).mean() for places in self._places(logits)])

    def auc(self, logits: Floats) -> metrics.Doubles:
        """Compute each person's AUC, the chance that a taken pair ranks above another; (n_people,)."""
        means = [places.mean().mean() - 1.0 for places in self._places(logits)]
        return 1.0 - np.array(means) / [len(others) for others in self.others]

    def _places(self, logits: Floats) -> list[Places]:
        return [
            places_against(logits[taken], logits[others])
            for taken, others in zip(self.taken, self.others, strict=True)
        ]
