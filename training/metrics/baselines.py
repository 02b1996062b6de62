"""What a sceptic asks for beside every model: rankings that need no learning, or next to none.

Each is a function from histories to scores of the whole catalogue. All read target events, which are what is asked
about, but for `last_looked_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.history import SECONDS_PER_DAY, History
from models.members.neighbours import frequencies as frequencies_of
from training.data.dataset import Interactions
from training.metrics.metrics import Floats
from training.metrics.protocols import ScoreFunction, popular_scores, random_scores

WEEK_DAYS = 7
N_NEIGHBOURS = 300
OWN_SHARE = 0.7
"""TIFU-kNN's settings, as Hu et al. found them for Dunnhumby, groceries like those of most shops that sell again."""


def baselines(interactions: Interactions, *, seed: int) -> dict[str, ScoreFunction]:
    """Return every baseline by name.

    random; popular: best-sellers; popular_week: of the last seven days; most_taken: what a person took most often,
    and nothing else; most_taken_then_popular; last_looked_at: a person's latest items of any kind; tifu_knn: Hu et
    al. 2020, doi 10.1145/3397271.3401066.
    """
    targets = np.flatnonzero(interactions.histories.kinds == interactions.evidence.target)
    items = interactions.histories.item_indices[targets]
    counts = np.bincount(items, minlength=interactions.n_items).astype(np.float32)
    age_days = (interactions.until - interactions.histories.times[targets]) / SECONDS_PER_DAY
    of_week = np.bincount(items[age_days <= WEEK_DAYS], minlength=interactions.n_items).astype(np.float32)
    behind = counts / (2 * max(float(counts.max(initial=0)), 1.0))  # below 1: behind whatever a person took
    own = MostTaken(interactions.n_items, interactions.evidence.target)
    return {
        "random": random_scores(interactions.n_items, seed=seed),
        "popular": popular_scores(counts),
        "popular_week": popular_scores(of_week),
        "most_taken": own.score,
        "most_taken_then_popular": lambda histories: own.score(histories) + behind,
        "last_looked_at": lambda histories: last_looked_at(histories, interactions.n_items),
        "tifu_knn": TifuKnn.of(interactions).score,
    }


@dataclass(frozen=True)
class MostTaken:
    """Scores an item by how many target events the person has with it."""

    n_items: int
    target: int

    def score(self, histories: Sequence[History]) -> Floats:
        """Count; (n_people, n_items)."""
        scores = np.zeros((len(histories), self.n_items), np.float32)
        for own, history in zip(scores, histories, strict=True):
            np.add.at(own, history.item_indices[history.kinds == self.target], 1.0)
        return scores


def last_looked_at(histories: Sequence[History], n_items: int) -> Floats:
    """Rank a person's items by their latest event, whatever it was; (n_people, n_items)."""
    scores = np.zeros((len(histories), n_items), np.float32)
    for own, history in zip(scores, histories, strict=True):
        own[history.item_indices] = np.arange(1, len(history) + 1)  # the last of equal items stays
    return scores


@dataclass(frozen=True)
class TifuKnn:
    """Temporal item frequency with neighbours: a person's decayed baskets, and those of the most similar people.

    vectors: (n_people, n_items), decayed frequencies. squares: (n_people,), their squared lengths.
    """

    vectors: sparse.csr_matrix
    squares: npt.NDArray[np.float32]
    target: int

    @staticmethod
    def of(interactions: Interactions) -> TifuKnn:
        """Compute everybody's vector."""
        target = interactions.evidence.target
        vectors = frequencies(list(interactions.histories), interactions.n_items, target)
        vectors = vectors[np.flatnonzero(np.diff(vectors.indptr))]
        return TifuKnn(vectors, np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel(), target)

    def score(self, histories: Sequence[History]) -> Floats:
        """Add the own vector and the mean of the nearest people's, by Euclidean distance; (n_people, n_items)."""
        own = frequencies(histories, self.vectors.shape[1], self.target)
        if not self.vectors.shape[0]:
            return np.asarray(own.toarray(), np.float32)
        lengths = np.asarray(own.multiply(own).sum(axis=1))
        distances = lengths + self.squares - 2 * (own @ self.vectors.T).toarray()
        n_nearest = min(N_NEIGHBOURS, distances.shape[1])
        scores = OWN_SHARE * own.toarray()
        for row, to_others in enumerate(distances):
            nearest = np.argpartition(to_others, n_nearest - 1)[:n_nearest]
            mean = np.asarray(self.vectors[nearest].sum(axis=0)).ravel() / n_nearest
            scores[row] += (1 - OWN_SHARE) * mean
        return np.asarray(scores, np.float32)


def frequencies(histories: Sequence[History], n_items: int, target: int) -> sparse.csr_matrix:
    """Compute everybody's frequencies (`models.members.neighbours.frequencies`); (n_people, n_items) float32."""
    rows = [frequencies_of(history, target) for history in histories]
    offsets = np.append(0, np.cumsum([len(row.items) for row in rows], dtype=np.int64))
    items = np.concatenate([np.zeros(0, np.int32), *(row.items for row in rows)])
    values = np.concatenate([np.zeros(0, np.float32), *(row.values for row in rows)])
    return sparse.csr_matrix((values, items, offsets), shape=(len(rows), n_items))
