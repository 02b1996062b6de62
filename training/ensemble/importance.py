"""Permutation importance of each member: the loss of ranking quality when its opinions are shuffled (Breiman 2001).

All columns of a member are permuted together, among the pairs of one person: the member keeps its habits with that
person and loses which item each opinion was about. So a feature that is the same for all items of a person, such as
the length of the history, counts 0 here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.ensemble.evaluation_pairs import EvaluationPairs, Rows
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats
from training.metrics.metrics import bootstrap_interval

MAX_PEOPLE = 1000
"""The most people sampled: takes a few seconds per member, and gives intervals of about one point of NDCG."""


@dataclass(frozen=True)
class Importance:
    """Mean loss over people when a group of columns is permuted, and its 95 % interval; negative if it did harm."""

    ndcg_loss: float
    ndcg_interval: tuple[float, float]
    auc_loss: float
    auc_interval: tuple[float, float]


def member_importance(
    strategy: Strategy,
    features: Floats,
    labels: Labels,
    people: People,
    groups: Mapping[str, Sequence[int]],
    *,
    seed: int,
    weights: Weights | None = None,
    max_people: int = MAX_PEOPLE,
) -> dict[str, Importance]:
    """Permute each group of columns in turn, and measure NDCG@10 and AUC per person.

    Use pairs on which the strategy was not fitted, or what it overfitted counts as merit.
    groups: name to columns of features (n_pairs, n_features). weights: as in `Strategy.fit`.
    """
    rng = np.random.default_rng(seed)
    distinct = np.unique(people)
    sampled = rng.choice(distinct, min(max_people, len(distinct)), replace=False)
    rows = np.flatnonzero(np.isin(people, sampled))
    features, labels, people = features[rows], labels[rows], people[rows]
    own = None if weights is None else weights[rows]
    evaluation_pairs = EvaluationPairs.draw(labels, people, rng, own)
    whole = strategy.logit(features)
    dealt = permutation_within(people, rng)
    return {
        name: _loss(evaluation_pairs, whole, strategy.logit(_permuted(features, columns, dealt)), seed)
        for name, columns in groups.items()
    }


def permutation_within(people: People, rng: np.random.Generator) -> Rows:
    """Draw a permutation of all rows that keeps each row within its person; (n_pairs,)."""
    order = np.lexsort((rng.random(len(people)), people))
    dealt = np.empty(len(people), np.int64)
    dealt[np.argsort(people, kind="stable")] = order
    return dealt


def _permuted(features: Floats, columns: Sequence[int], dealt: Rows) -> Floats:
    permuted = features.copy()
    for column in columns:
        permuted[:, column] = features[dealt, column]
    return permuted


def _loss(evaluation_pairs: EvaluationPairs, whole: Floats, without: Floats, seed: int) -> Importance:
    ndcg = evaluation_pairs.ndcg(whole) - evaluation_pairs.ndcg(without)
    auc = evaluation_pairs.auc(whole) - evaluation_pairs.auc(without)
    return Importance(
        float(ndcg.mean()),
        bootstrap_interval(ndcg, seed=seed),
        float(auc.mean()),
        bootstrap_interval(auc, seed=seed),
    )
