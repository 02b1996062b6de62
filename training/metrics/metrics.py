"""Metrics of lists and of pairs, with bootstrap intervals over people; all are pure functions of scores and truth.

Metrics of a ranking with ties are in `ranks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

N_RESAMPLES = 2000
RESAMPLE_CHUNK = 100
"""Number of resamples drawn at once: 100 x 5,000 people are 2 MB of rows."""


def coverage(top_items: npt.NDArray[np.int32], n_items: int) -> float:
    """Return the share of the catalogue that appears in anybody's list; top_items (n_people, k), -1 is no item."""
    return len(np.unique(top_items[top_items >= 0])) / n_items


def novelty(top_items: npt.NDArray[np.int32], touched_shares: Doubles) -> float:
    """Return the mean surprisal of recommended items in bits: -log2 of the share of people who touched the item.

    top_items: (n_people, k), -1 is no item. touched_shares: (n_items,), > 0. Higher means less popular items. Zhou et
    al. (2010), doi 10.1073/pnas.1000488107.
    """
    return float(-np.log2(touched_shares[top_items[top_items >= 0]]).mean())


def popularity_lift(recommended: Doubles, taken: Doubles) -> float:
    """Return how much more popular recommended items are than taken ones: 0 is equal, 1 is twice as popular.

    recommended, taken: (n_people,), the mean popularity of each person's items. Abdollahpouri et al. (2020),
    doi 10.1145/3383313.3418487, compare with the person's past; here taken items are what these lists should find.
    """
    return float(recommended.mean() / taken.mean() - 1.0)


def top_items(scores: Floats, k: int) -> npt.NDArray[np.int32]:
    """Return each person's k best item indices, best first, ties by index; (n_people, n_items) to (n_people, k).

    The rest is -1 where a person has fewer than k items that are not -inf.
    """
    k = min(k, scores.shape[1])
    top = np.empty((len(scores), k), np.int32)
    for row, own in enumerate(scores):
        # Only scores that reach the k-th best are sorted, in a tenth of the time that sorting all would take.
        reaching = np.flatnonzero(own >= np.partition(own, len(own) - k)[len(own) - k])
        top[row] = reaching[np.argsort(-own[reaching], kind="stable")[:k]]
    top[np.isneginf(np.take_along_axis(scores, top, axis=1))] = -1
    return top


def best_threshold(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return the threshold on scores that classifies most pairs right; scores and labels (n_pairs,).

    It lies halfway between two distinct scores, or beyond all of them.
    """
    distinct, position = np.unique(scores, return_inverse=True)
    # Moving the threshold up past a score turns its positives wrong and its negatives right.
    gain = np.bincount(position, np.where(labels, -1.0, 1.0), len(distinct))
    best = int(np.argmax(np.concatenate([[0.0], np.cumsum(gain)])))
    edges = np.concatenate([[distinct[0] - 1.0], distinct, [distinct[-1] + 1.0]])
    return float((edges[best] + edges[best + 1]) / 2.0)


def accuracy(scores: Floats, labels: npt.NDArray[np.bool_], threshold: float) -> Doubles:
    """Return 1 where score > threshold agrees with the label, else 0; (n_pairs,)."""
    return ((scores > threshold) == labels).astype(np.float64)


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores above a negative; ties count one half."""
    positives, negatives = scores[labels], np.sort(scores[~labels])
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    return float(((below + not_above) / 2.0).mean() / len(negatives))


def bootstrap_means(values: Doubles, *, seed: int, n_resamples: int = N_RESAMPLES) -> npt.NDArray[np.float64]:
    """Bootstrap means, with the same people drawn for every row; (n_rows, n_people) to (n_rows, n_resamples)."""
    rng = np.random.default_rng(seed)
    n_people = values.shape[1]
    means = np.empty((len(values), n_resamples))
    for start in range(0, n_resamples, RESAMPLE_CHUNK):
        stop = min(start + RESAMPLE_CHUNK, n_resamples)
        drawn = rng.integers(0, n_people, (stop - start, n_people), dtype=np.int32)
        for row, own in enumerate(values):
            means[row, start:stop] = own[drawn].mean(axis=1)
    return means


def bootstrap_interval(
    differences: Doubles | Sequence[float], *, seed: int, n_resamples: int = N_RESAMPLES, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of a mean over people; it is paired if given differences of two models."""
    values = np.asarray(differences, np.float64)[None, :]
    return quantile_interval(bootstrap_means(values, seed=seed, n_resamples=n_resamples)[0], level)


def quantile_interval(resampled: Doubles, level: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds the middle `level` of resampled figures; (n_resamples,)."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
