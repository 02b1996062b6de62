"""Tests and intervals that stay valid however often one looks.

For a difference of two means or rates: an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy,
Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", 2021, theorem 2.2). It is the mixture
sequential probability ratio test of Johari, Pekelis and Walsh (2015) with its mixture scaled by the variance found.
For a rate against a limit: a mixture of likelihood ratios, which exceeds 1/alpha with at most probability alpha
(Ville's inequality), exactly, for every rate up to the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p, sqrt

MINIMUM_UNITS = 100
"""The number of units in each arm below which nothing is concluded, since the sequence is asymptotic."""

MINIMUM_OUTCOMES = 10
"""The number of units with a non-zero outcome in each arm below which nothing is concluded."""

RATE_FACTORS = (1.05, 1.1, 1.2, 1.35, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""The factors by which a limit may be exceeded; all weigh alike."""


@dataclass
class Sample:
    """The sums of the outcomes of an arm's units. n_nonzero: units whose outcome is not 0."""

    n: int = 0
    total: float = 0.0
    total_of_squares: float = 0.0
    n_nonzero: int = 0

    @staticmethod
    def of_rate(n: int, n_successes: int) -> Sample:
        """Make a sample of outcomes that are 0 or 1."""
        return Sample(n, n_successes, n_successes, n_successes)

    def add(self, outcome: float) -> None:
        """Add another unit's outcome."""
        self.n += 1
        self.total += outcome
        self.total_of_squares += outcome * outcome
        self.n_nonzero += outcome != 0

    @property
    def mean(self) -> float:
        """The mean outcome; 0 if there is no unit yet."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of one unit's outcome."""
        if self.n < 2:
            return 0.0
        return max(self.total_of_squares - self.n * self.mean**2, 0.0) / (self.n - 1)


@dataclass(frozen=True)
class Difference:
    """difference: an arm's mean minus the control's. interval: holds the true difference at all looks together, with
    the confidence asked for; it is infinitely wide while there is too little data. p_value: always valid.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def is_decided(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval[0] > 0 or self.interval[1] < 0


def compare(arm: Sample, control: Sample, *, alpha: float, planned_units: int) -> Difference:
    """Compare an arm with the control.

    alpha: the probability that the interval is wrong at any look at all. planned_units: of both together; there the
    interval is narrowest, and four times as many, or a quarter, widen it by a twentieth or so.
    """
    difference = arm.mean - control.mean
    if min(arm.n, control.n) < MINIMUM_UNITS or min(arm.n_nonzero, control.n_nonzero) < MINIMUM_OUTCOMES:
        return Difference(difference, (-inf, inf), 1.0)
    error = sqrt(arm.variance / arm.n + control.variance / control.n)
    scale = (arm.n + control.n) * _best_scale(alpha) / planned_units
    if error == 0.0:
        return Difference(difference, (-inf, inf), 1.0)
    half = error * sqrt(2 * (scale + 1) / scale * log(sqrt(scale + 1) / alpha))
    log_evidence = (difference / error) ** 2 * scale / (2 * (scale + 1)) - log1p(scale) / 2
    p_value = exp(-max(log_evidence, 0.0))
    return Difference(difference, (difference - half, difference + half), p_value)


def _best_scale(alpha: float) -> float:
    """Return n ρ² at which the interval after n units is narrowest (in that paper, equation 24)."""
    doubled = -2 * log(alpha)
    return doubled + log(doubled) + 1


def excess_p_value(n: int, n_bad: int, limit: float) -> float:
    """Return the always-valid p-value of "the rate is at most `limit`", against its being above.

    n: answers, of which n_bad were bad. It is exact for answers that are bad independently of each other.
    """
    rates = [factor * limit for factor in RATE_FACTORS if factor * limit < 1]
    if not rates:
        rates = [(1 + limit) / 2]
    ratios = [n_bad * log(rate / limit) + (n - n_bad) * (log1p(-rate) - log1p(-limit)) for rate in rates]
    return exp(-max(log_mean_exp(ratios), 0.0))


def log_mean_exp(values: Sequence[float]) -> float:
    """Return the logarithm of the mean of exp(values), which may itself be too large to represent."""
    highest = max(values)
    return highest + log(sum(exp(value - highest) for value in values) / len(values))
