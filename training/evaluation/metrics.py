"""Ranking and classification metrics, vectorised over people. Pure functions of scores and truth.

Ranks are 1-based and expected under ties: an item that ties with t others sits, on average, t / 2 places lower.
So a model that scores everything alike gets what chance gives, not what the sort order happens to give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def expected_ranks(scores: Floats, of: npt.NDArray[np.int32]) -> Doubles:
    """Rank of some candidates among all of one person's candidates.

    scores: (n_candidates,), -inf for what may not be recommended. of: (n_asked,). Returns (n_asked,), >= 1.
    """
    ordered = np.sort(scores)
    asked = scores[of]
    n_above = len(scores) - np.searchsorted(ordered, asked, side="right")
    n_tied = len(scores) - n_above - np.searchsorted(ordered, asked, side="left")
    return 1.0 + n_above + (n_tied - 1) / 2.0


def ranks_against(scores: Floats, negatives: Floats) -> Doubles:
    """Rank of each score among the negatives and itself; scores (n_asked,), negatives (n,). Returns (n_asked,)."""
    ordered = np.sort(negatives)
    n_above = len(ordered) - np.searchsorted(ordered, scores, side="right")
    n_tied = len(ordered) - n_above - np.searchsorted(ordered, scores, side="left")
    return 1.0 + n_above + n_tied / 2.0


def hit_rate(ranks: Doubles, k: int) -> Doubles:
    """1 where the one relevant item is in the top k; the shape of ranks."""
    return (ranks <= k).astype(np.float64)


def ndcg_of_one(ranks: Doubles, k: int) -> Doubles:
    """NDCG@k with a single relevant item: 1 / log2(1 + rank) inside the top k; the shape of ranks."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def recall_at(ranks: Doubles, k: int) -> float:
    """Share of one person's relevant items in the top k, of at most k: ranks (n_relevant,)."""
    return float((ranks <= k).sum() / min(len(ranks), k))


def ndcg_at(ranks: Doubles, k: int) -> float:
    """NDCG@k of one person with binary relevance: ranks (n_relevant,) of the relevant items."""
    gain = np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0).sum()
    ideal = (1.0 / np.log2(2.0 + np.arange(min(len(ranks), k)))).sum()
    return float(gain / ideal)


def coverage(top_items: npt.NDArray[np.int32], n_items: int) -> float:
    """Share of the catalogue that appears in anybody's list; top_items (n_people, k), -1 is nothing."""
    return len(np.unique(top_items[top_items >= 0])) / n_items


def top_items(scores: Floats, k: int) -> npt.NDArray[np.int32]:
    """Indices of the k best items a person, best first, ties by index; (n_people, n_items) to (n_people, k)."""
    n_retrieved = min(k, scores.shape[1])
    top = np.argsort(-scores, axis=1, kind="stable")[:, :n_retrieved].astype(np.int32)
    top[np.isneginf(np.take_along_axis(scores, top, axis=1))] = -1
    return top


def best_threshold(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """The threshold on scores that classifies most pairs right; scores and labels (n_pairs,).

    It lies halfway between two distinct scores, or beyond all of them.
    """
    distinct, position = np.unique(scores, return_inverse=True)
    # Moving the threshold up past a score turns its positives wrong and its negatives right.
    gain = np.bincount(position, np.where(labels, -1.0, 1.0), len(distinct))
    best = int(np.argmax(np.concatenate([[0.0], np.cumsum(gain)])))
    edges = np.concatenate([[distinct[0] - 1.0], distinct, [distinct[-1] + 1.0]])
    return float((edges[best] + edges[best + 1]) / 2.0)


def accuracy(scores: Floats, labels: npt.NDArray[np.bool_], threshold: float) -> Doubles:
    """1 where score > threshold agrees with the label; (n_pairs,)."""
    return ((scores > threshold) == labels).astype(np.float64)


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Probability that a positive scores above a negative, ties counting one half."""
    positives, negatives = scores[labels], np.sort(scores[~labels])
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    return float(((below + not_above) / 2.0).mean() / len(negatives))


def bootstrap_interval(
    differences: Doubles | Sequence[float], *, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a mean over people; paired, when given per-person differences of two models."""
    values = np.asarray(differences, np.float64)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n_resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
