"""The tail probability of a chi-square variable."""

from __future__ import annotations

from scipy.special import gammaincc


def chi_square_survival(statistic: float, degrees: float) -> float:
    """Return the probability that a chi-square variable exceeds a statistic. degrees: of freedom, whole or not."""
    return float(gammaincc(degrees / 2, statistic / 2))
