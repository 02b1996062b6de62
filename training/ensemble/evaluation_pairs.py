"""Choose the labelled pairs on which strategies are compared: the same for all, so that differences are paired.

NDCG@10 and AUC per person rank each positive pair against at most 99 of that person's negatives. Accuracy, pooled
AUC and calibration use balanced pairs: as many negatives as positives of each person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.ensemble.strategy import Labels, People, Weights
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.ranks import TiedRanks, ndcg_of_one, ranks_against

MAX_NEGATIVES = 99
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EvaluationPairs:
    """Rows of pairs, drawn once. positives, negatives: one array per person who has both. balanced: (n_balanced,)."""

    positives: list[Rows]
    negatives: list[Rows]
    balanced: Rows

    @staticmethod
    def draw(
        labels: Labels, people: People, rng: np.random.Generator, weights: Weights | None = None
    ) -> EvaluationPairs:
        """Draw from all pairs; people who have pairs of one label only are left out.

        weights: how many pairs each stands for, in proportion to which negatives are drawn.
        """
        positives, negatives, balanced = [], [], []
        order = np.argsort(people, kind="stable")
        starts = np.flatnonzero(np.diff(people[order])) + 1
        for rows in np.split(order, starts):
            its_positives, its_negatives = rows[labels[rows]], rows[~labels[rows]]
            its_negatives = _drawn(its_negatives, None if weights is None else weights[its_negatives], rng)
            n_balanced = min(len(its_positives), len(its_negatives))
            if n_balanced > 0:
                positives.append(its_positives)
                negatives.append(its_negatives[:MAX_NEGATIVES])
                balanced += [rng.permutation(its_positives)[:n_balanced], its_negatives[:n_balanced]]
        return EvaluationPairs(positives, negatives, np.concatenate([np.zeros(0, np.int64), *balanced]))

    def __len__(self) -> int:
        """Number of people who are evaluated."""
        return len(self.positives)

    def ndcg(self, logits: Floats, k: int = 10) -> metrics.Doubles:
        """Compute each person's mean NDCG@k; (n_people,)."""
        return np.array([ndcg_of_one(ranks, k).mean() for ranks in self._ranks(logits)])

    def auc(self, logits: Floats) -> metrics.Doubles:
        """Compute each person's AUC, the chance that a positive ranks above a negative; (n_people,)."""
        means = [ranks.mean().mean() - 1.0 for ranks in self._ranks(logits)]
        return 1.0 - np.array(means) / [len(negatives) for negatives in self.negatives]

    def _ranks(self, logits: Floats) -> list[TiedRanks]:
        return [
            ranks_against(logits[positives], logits[negatives])
            for positives, negatives in zip(self.positives, self.negatives, strict=True)
        ]


def _drawn(rows: Rows, weights: Weights | None, rng: np.random.Generator) -> Rows:
    """Put rows in a random order; where they weigh unlike, draw as many as are wanted, heavy ones more often."""
    if weights is None or not len(rows):
        return rng.permutation(rows)
    return rng.choice(rows, min(len(rows), MAX_NEGATIVES), replace=False, p=weights / weights.sum())
