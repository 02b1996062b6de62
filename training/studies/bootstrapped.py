"""Make figures of a report: a mean over people, or a ratio of two, with its 95 % bootstrap interval."""

from __future__ import annotations

from training.metrics.comparison import ratio_interval
from training.metrics.metrics import Doubles, bootstrap_interval
from training.quality.figures import Figure


def mean_of_people(values: Doubles, *, seed: int) -> Figure:
    """Return the mean of one value per person; (n_people,). For differences of two models, the interval is paired."""
    low, high = bootstrap_interval(values, seed=seed)
    return Figure(float(values.mean()), low, high)


def ratio_of_means(ours: Doubles, theirs: Doubles, *, seed: int) -> Figure:
    """Return the ratio of two means over the same people, resampled together; (n_people,) each, theirs not all 0."""
    low, high = ratio_interval(ours, theirs, seed=seed)
    return Figure(float(ours.mean() / theirs.mean()), low, high)
