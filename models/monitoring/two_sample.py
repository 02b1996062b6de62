"""Tests whether two binned samples differ, and measures by how much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

SMOOTHING = 0.5
"""Added to each bin's count, so that an empty bin has a share and the index stays finite."""


def population_stability_index(reference: Counts, live: Counts) -> float:
    """Return how far two distributions, (n_bins,) counts, are apart: 0 for none, 0.1 noticeable, 0.25 large.

    Sampling alone makes it about (n_bins - 1) (1 / n_reference + 1 / n_live).
    """
    expected, found = _shares(reference), _shares(live)
    return float(((found - expected) * np.log(found / expected)).sum())


def chi_square(reference: Counts, live: Counts) -> tuple[float, int]:
    """Return Pearson's statistic of two samples and its degrees of freedom. Bins empty in both are left out."""
    table = np.stack([reference, live])[:, reference + live > 0].astype(np.float64)
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    smoothed = counts + SMOOTHING
    return np.asarray(smoothed / smoothed.sum(), np.float64)
