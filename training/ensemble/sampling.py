"""Which pairs a fit sees: folds and bootstraps by person, and thinned negatives.

Pairs of one person share a history, so a person whose pairs were split would tell the test half about itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.ensemble.strategy import Labels, People


def folds_by_person(people: People, n_folds: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Deal people into folds whose numbers of people differ by at most one; (n_pairs,) in [0, n_folds)."""
    distinct, person = np.unique(people, return_inverse=True)
    return np.random.default_rng(seed).permutation(np.arange(len(distinct)) % n_folds)[person]


def bootstrap_by_person(people: People, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How often each pair is in a sample of as many people as there are, drawn with replacement; (n_pairs,)."""
    distinct, person = np.unique(people, return_inverse=True)
    drawn = rng.integers(0, len(distinct), len(distinct))
    return np.bincount(drawn, minlength=len(distinct))[person]


def thinned(
    labels: Labels, max_pairs: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Draw at most max_pairs pairs, positives before negatives, for they are few and each tells more.

    Returns rows (n_kept,), rising, and weights (n_kept,): how many pairs of its label each stands for, so that
    rates stay what they were. Positives fill at most half.
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
