"""The protocol `next_basket`: one cut in time for everybody, then what each person newly took is the truth.

Every model answers the same questions. Items of a person's history are never candidates. Sampled metrics rank
each of up to ten true items against 99 items drawn uniformly from those never touched, and average over the
person; catalogue metrics rank all true items against the whole catalogue; accuracy asks balanced pairs, each of
the same true items and one that was not taken.
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
MAX_ASKED = 10
"""True items a person that sampled metrics ask about; one person with a huge basket must not decide them."""
CHUNK = 256

ScoreFunction = Callable[[Sequence[History]], Floats]
"""Histories to (n_people, n_items) scores, NaN where the model has no opinion; such items rank last."""


@dataclass(frozen=True)
class Candidates:
    """What is asked about each person, drawn once and shared by all models, so that differences are paired.

    asked: per person up to `MAX_ASKED` true items. negatives: (n_people, 99) int32, never touched; the first of
    them, as many as were asked, make the false pairs of accuracy.
    """

    asked: list[npt.NDArray[np.int32]]
    negatives: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Outcome:
    """Per-person results of one model, in the order of the questions; pairs are flattened over people.

    hit, ndcg: sampled, at 10, means over a person's asked items. recall, catalogue_ndcg: whole catalogue, at 20.
    coverage: of top-20 lists.
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
    negatives = np.empty((len(questions), N_SAMPLED_NEGATIVES), np.int32)
    asked = []
    for row in range(len(questions)):
        truth = questions.truth[row]
        touched = np.concatenate([truth, questions.histories[row].item_indices])
        others = np.setdiff1d(np.arange(n_items, dtype=np.int32), touched)
        enough = len(others) >= N_SAMPLED_NEGATIVES
        negatives[row] = rng.choice(others, N_SAMPLED_NEGATIVES, replace=not enough)
        asked.append(rng.choice(truth, min(len(truth), MAX_ASKED), replace=False))
    return Candidates(asked, negatives)


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
            true_scores, negative_scores = scores[candidates.asked[row]], scores[candidates.negatives[row]]
            sampled_ranks = metrics.ranks_against(true_scores, negative_scores)
            hits.append(metrics.hit_rate(sampled_ranks, 10).mean())
            ndcgs.append(metrics.ndcg_of_one(sampled_ranks, 10).mean())
            false_scores = negative_scores[: len(true_scores)]
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
