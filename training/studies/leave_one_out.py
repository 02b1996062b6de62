"""Measure what each member adds: the ensemble against the same strategy fitted anew without its columns.

Meta-features of one member do not depend on another, so leaving a member out is leaving its columns out. Both sides
rank the same candidates of the same test people. If the catalogue candidates are the whole ensemble's own top, rivals
are missing that only the smaller ensemble would have ranked there: that flatters it, so what a member adds is, if
anything, understated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.base.callback import Progress, no_progress
from training.ensemble.cross_fits import Factory
from training.ensemble.pairs import Pairs
from training.ensemble.strategy import Strategy
from training.members.member import Floats
from training.metrics import metrics
from training.metrics.ranks import ndcg_at, ndcg_of_one, ranks_against, ranks_among
from training.quality.schema import MemberWorth
from training.studies.bootstrapped import mean_of_people
from training.studies.candidate_features import CandidateFeatures

SAMPLED_K = 10
CATALOGUE_K = 20
Groups = Mapping[str, Sequence[int]]
"""The columns of each member's features."""


def leave_one_out(
    make_strategy: Factory,
    pairs: Pairs,
    sampled: CandidateFeatures,
    catalogue: CandidateFeatures,
    groups: Groups,
    *,
    training_seconds: Mapping[str, float] | None = None,
    seed: int,
    progress: Progress = no_progress,
) -> dict[str, MemberWorth]:
    """Measure what the ensemble loses without each member.

    make_strategy: makes the chosen strategy, unfitted. sampled: per person the target items and sampled
    negatives, for ndcg@10 of each true item alone. catalogue: candidates that stand for the catalogue, for ndcg@20 of
    all true items. training_seconds: by member; a member without one has None in the answer.
    """
    every = np.arange(pairs.features.shape[1])
    whole = _of_people(_fitted(make_strategy, pairs, every, seed), every, sampled, catalogue)
    table = {}
    for position, (member, columns) in enumerate(groups.items()):
        progress(position / len(groups), f"without {member}")
        rest = np.setdiff1d(every, columns)
        without = _of_people(_fitted(make_strategy, pairs, rest, seed), rest, sampled, catalogue)
        adds = {metric: mean_of_people(whole[metric] - without[metric], seed=seed) for metric in whole}
        table[member] = MemberWorth(
            adds["ndcg@10"],
            adds["catalogue_ndcg@20"],
            (training_seconds or {}).get(member),
            any(figure.low > 0 for figure in adds.values()),
        )
    return table


def ndcg_of_each(true_logits: Floats, negatives: Floats) -> float:
    """Return the mean NDCG of each true item against the negatives, as in sampled metrics."""
    return float(ndcg_of_one(ranks_against(true_logits, negatives), SAMPLED_K).mean())


def ndcg_of_all(true_logits: Floats, negatives: Floats) -> float:
    """Return NDCG of all true items among all candidates, as in catalogue metrics."""
    ranks = ranks_among(np.concatenate([true_logits, negatives]), np.arange(len(true_logits), dtype=np.int32))
    return ndcg_at(ranks, CATALOGUE_K)


def _fitted(make: Factory, pairs: Pairs, columns: npt.NDArray[np.int64], seed: int) -> Strategy:
    return make().fit(
        pairs.features[:, columns], pairs.labels, pairs.people, seed=seed, weights=pairs.weights
    )


def _of_people(
    strategy: Strategy,
    columns: npt.NDArray[np.int64],
    sampled: CandidateFeatures,
    catalogue: CandidateFeatures,
) -> dict[str, metrics.Doubles]:
    """Compute both metrics of a strategy that reads some of the columns; (n_people,) each."""
    return {
        "ndcg@10": sampled.measure(strategy.logit(sampled.features[:, columns]), ndcg_of_each),
        "catalogue_ndcg@20": catalogue.measure(strategy.logit(catalogue.features[:, columns]), ndcg_of_all),
    }
