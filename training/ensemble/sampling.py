"""Choose the pairs that a fit sees: folds and bootstraps by person, and thinned negatives.

Pairs of one person share a history: if they were split, the held-out pairs would be predicted from their own person.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.ensemble.strategy import Labels, People


def folds_by_person(people: People, n_folds: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Assign people to folds whose sizes differ by at most one person; (n_pairs,) in [0, n_folds)."""
    distinct, person = np.unique(people, return_inverse=True)
    return np.random.default_rng(seed).permutation(np.arange(len(distinct)) % n_folds)[person]


def bootstrap_by_person(people: People, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw as many people as there are, with replacement, and return how often each pair is drawn; (n_pairs,)."""
    distinct, person = np.unique(people, return_inverse=True)
    drawn = rng.integers(0, len(distinct), len(distinct))
    return np.bincount(drawn, minlength=len(distinct))[person]


def thinned(
    labels: Labels, max_pairs: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Draw at most max_pairs pairs, positives first, because they are few and each tells more.

    Returns rows (n_kept,), ascending, and weights (n_kept,): how many pairs of its label each one stands for, so that
    rates do not change. Positives fill at most half, unless negatives are too few for the other half.
    """
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)
    n_positives = min(len(positives), max(max_pairs // 2, max_pairs - len(negatives)))
    n_negatives = min(len(negatives), max_pairs - n_positives)
    rows = np.concatenate(
        [
            rng.choice(positives, n_positives, replace=False),
            rng.choice(negatives, n_negatives, replace=False),
        ]
    )
    rows.sort()
    stands_for = np.where(
        labels[rows], len(positives) / max(n_positives, 1), len(negatives) / max(n_negatives, 1)
    )
    return rows, stands_for
