"""The protocol `next_basket`: one cut in time for everybody, then what each person newly took is the truth.

Every model answers the same questions. Items of a person's history are never candidates. Sampled metrics rank
one of the person's true items, drawn once, against 99 items drawn uniformly from those never touched; catalogue
metrics rank all true items against the whole catalogue; accuracy asks balanced pairs, half true, half not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import History
from training.data.split import Questions
from training.evaluation import metrics
from training.members.member import Floats

PROTOCOL = "next_basket"
N_SAMPLED_NEGATIVES = 99
MAX_PAIRS = 10
"""True items a person that accuracy asks about; one person with a huge basket must not decide it."""
CHUNK = 256

ScoreFunction = Callable[[Sequence[History]], Floats]
"""Histories to (n_people, n_items) scores, NaN where the model has no opinion; such items rank last."""


@dataclass(frozen=True)
class Candidates:
    """What is asked about each person, drawn once and shared by all models, so that differences are paired.

    sampled: (n_people, 1 + 99) int32, the true item first. true_pairs, false_pairs: per person equal numbers.
    """

    sampled: npt.NDArray[np.int32]
    true_pairs: list[npt.NDArray[np.int32]]
    false_pairs: list[npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Outcome:
    """Per-person results of one model, in the order of the questions; pairs are flattened over people.

    hit, ndcg: sampled, at 10. recall, catalogue_ndcg: whole catalogue, at 20. coverage: of top-20 lists.
    """

    hit: metrics.Doubles
    ndcg: metrics.Doubles
    recall: metrics.Doubles
    catalogue_ndcg: metrics.Doubles
    pair_scores: Floats
    pair_labels: npt.NDArray[np.bool_]
    pair_people: npt.NDArray[np.int64]
    coverage: float

    def threshold(self) -> float:
        """The threshold that classifies these pairs best; meant for outcomes on validation."""
        return metrics.best_threshold(self.pair_scores, self.pair_labels)

    def accuracy_of_people(self, threshold: float) -> metrics.Doubles:
        """Each person's share of rightly classified pairs; (n_people,)."""
        is_right = metrics.accuracy(self.pair_scores, self.pair_labels, threshold)
        return np.bincount(self.pair_people, is_right) / np.bincount(self.pair_people)

    def summary(self, threshold: float) -> dict[str, float]:
        """The report's metrics. threshold: on scores, chosen on validation."""
        return {
            "accuracy": float(metrics.accuracy(self.pair_scores, self.pair_labels, threshold).mean()),
            "auc": metrics.auc(self.pair_scores, self.pair_labels),
            "hr@10": float(self.hit.mean()),
            "ndcg@10": float(self.ndcg.mean()),
            "catalogue_recall@20": float(self.recall.mean()),
            "catalogue_ndcg@20": float(self.catalogue_ndcg.mean()),
            "coverage": self.coverage,
        }


def draw_candidates(questions: Questions, n_items: int, *, seed: int) -> Candidates:
    """Draw sampled candidates and balanced pairs."""
    rng = np.random.default_rng(seed)
    sampled = np.empty((len(questions), 1 + N_SAMPLED_NEGATIVES), np.int32)
    true_pairs, false_pairs = [], []
    for row in range(len(questions)):
        truth = questions.truth[row]
        touched = np.concatenate([truth, questions.histories[row].item_indices])
        others = np.setdiff1d(np.arange(n_items, dtype=np.int32), touched)
        enough = len(others) >= N_SAMPLED_NEGATIVES
        sampled[row, 0] = rng.choice(truth)
        sampled[row, 1:] = rng.choice(others, N_SAMPLED_NEGATIVES, replace=not enough)
        n_pairs = min(len(truth), MAX_PAIRS, len(others))
        true_pairs.append(rng.choice(truth, n_pairs, replace=False))
        false_pairs.append(rng.choice(others, n_pairs, replace=False))
    return Candidates(sampled, true_pairs, false_pairs)


def measure(score: ScoreFunction, questions: Questions, candidates: Candidates) -> Outcome:
    """Put all questions to one model."""
    hits, ndcgs, recalls, catalogue_ndcgs = [], [], [], []
    pair_scores, pair_labels, pair_people, lists = [], [], [], []
    n_items = 0
    for start in range(0, len(questions), CHUNK):
        stop = min(start + CHUNK, len(questions))
        chunk_scores = score(questions.histories[start:stop])
        n_items = chunk_scores.shape[1]
        for row in range(start, stop):
            scores = opinion_or_last(chunk_scores[row - start])
            sampled_rank = metrics.expected_ranks(scores[candidates.sampled[row]], np.zeros(1, np.int32))
            hits.append(metrics.hit_rate(sampled_rank, 10)[0])
            ndcgs.append(metrics.ndcg_of_one(sampled_rank, 10)[0])
            true_scores, false_scores = (
                scores[candidates.true_pairs[row]],
                scores[candidates.false_pairs[row]],
            )
            pair_scores += [true_scores, false_scores]
            pair_labels += [np.ones(len(true_scores), np.bool_), np.zeros(len(false_scores), np.bool_)]
            pair_people.append(np.full(2 * len(true_scores), row))
            scores[questions.histories[row].item_indices] = -np.inf
            ranks = metrics.expected_ranks(scores, questions.truth[row])
            recalls.append(metrics.recall_at(ranks, 20))
            catalogue_ndcgs.append(metrics.ndcg_at(ranks, 20))
            lists.append(metrics.top_items(scores[None, :], 20)[0])
    return Outcome(
        np.array(hits),
        np.array(ndcgs),
        np.array(recalls),
        np.array(catalogue_ndcgs),
        np.concatenate(pair_scores),
        np.concatenate(pair_labels),
        np.concatenate(pair_people),
        metrics.coverage(np.stack(lists), n_items),
    )


def opinion_or_last(scores: Floats) -> Floats:
    """A copy of one person's scores in which "no opinion" ranks below every opinion; (n_items,)."""
    is_known = np.isfinite(scores)
    lowest = scores[is_known].min() if is_known.any() else 0.0
    return np.where(is_known, scores, lowest - 1.0).astype(np.float32)


def random_scores(n_items: int, *, seed: int) -> ScoreFunction:
    """The baseline that knows nothing."""
    rng = np.random.default_rng(seed)
    return lambda histories: rng.random((len(histories), n_items), dtype=np.float32)


def popular_scores(counts: Floats) -> ScoreFunction:
    """The baseline that knows what sells: all events counted alike; counts (n_items,)."""
    return lambda histories: np.tile(counts.astype(np.float32), (len(histories), 1))
