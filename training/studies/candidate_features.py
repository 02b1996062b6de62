"""Describe test candidates as meta-features, to ask a strategy with some of its columns left out.

All features of all people and items would take gigabytes, so each person has few candidates: those of the sampled
metrics, and for the catalogue the ensemble's own top and the true items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import History
from training.data.split import Questions
from training.ensemble.strategy import Strategy
from training.members.member import Floats
from training.metrics.metrics import Doubles
from training.metrics.protocols import Candidates

CHUNK = 128
"""Number of people described together: 128 x 4,000 items x 40 features are 82 MB."""

Describe = Callable[[Sequence[History]], Floats]
"""A function from histories to the meta-features of every item, (n_people, n_items, n_features)."""
Metric = Callable[[Floats, Floats], float]
"""A function from one person's true logits and other logits to a figure."""


@dataclass(frozen=True)
class CandidateFeatures:
    """The candidates of several people, one person below the other.

    features: (n_candidates, n_features) float32. is_true: (n_candidates,), at least one per person.
    n_of_person: (n_people,), their sum is n_candidates.
    """

    features: Floats
    is_true: npt.NDArray[np.bool_]
    n_of_person: npt.NDArray[np.int64]

    @staticmethod
    def from_list(people: Iterable[tuple[Floats, npt.NDArray[np.bool_]]]) -> CandidateFeatures:
        """Join people, who are given as features (n, n_features) and is_true (n,)."""
        features, is_true = zip(*people, strict=True)
        n_of_person = np.array([len(own) for own in is_true])
        return CandidateFeatures(np.concatenate(features), np.concatenate(is_true), n_of_person)

    def measure(self, logits: Floats, metric: Metric) -> Doubles:
        """Compute the metric of each person; (n_candidates,) to (n_people,)."""
        ends = np.cumsum(self.n_of_person)[:-1]
        people = zip(np.split(logits, ends), np.split(self.is_true, ends), strict=True)
        return np.array([metric(own[is_true], own[~is_true]) for own, is_true in people])


def describe_candidates(
    describe: Describe, strategy: Strategy, questions: Questions, candidates: Candidates, *, n_top: int = 200
) -> tuple[CandidateFeatures, CandidateFeatures]:
    """Describe the sampled candidates, and the strategy's `n_top` best items together with the true ones.

    If published negatives differ between a person's true items, those of the first item stand for all.
    """
    sampled, catalogue = [], []
    for start in range(0, len(questions), CHUNK):
        described = describe(questions.histories[start : start + CHUNK])
        logits = strategy.logit(described)
        for offset, own in enumerate(described):
            row = start + offset
            targets, truth = candidates.target_items[row], questions.truth[row]
            items = np.concatenate([targets, candidates.negatives[row][0]])
            sampled.append((own[items], np.arange(len(items)) < len(targets)))
            logits[offset, questions.left_out_of(row)] = -np.inf
            if questions.recommendable is not None:
                logits[offset, ~questions.recommendable] = -np.inf
            best = np.argpartition(-logits[offset], min(n_top, len(own)) - 1)[:n_top]
            items = np.union1d(best[np.isfinite(logits[offset, best])], truth)
            catalogue.append((own[items], np.isin(items, truth)))
    return CandidateFeatures.from_list(sampled), CandidateFeatures.from_list(catalogue)
