"""The tail of a chi-square variable."""

from __future__ import annotations

from scipy.special import gammaincc


def chi_square_survival(statistic: float, degrees: float) -> float:
    """The probability that a chi-square variable of so many degrees of freedom, whole or not, exceeds a statistic."""
    return float(gammaincc(degrees / 2, statistic / 2))
