"""Sample ratio mismatch: whether arms get units in the declared ratio. If not, no comparison of them means anything.

`always_valid` may be looked at after every unit. It is the multinomial test of Lindon and Malek, "Anytime-valid
inference for multinomial count data" (2022). `chi_square` is the well-known test, valid for one look only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log

from models.experiments.sequential import log_mean_exp
from models.statistics.chi_square import chi_square_survival

PRIOR_UNITS = (30.0, 300.0, 3000.0)
"""How firmly each alternative believes in shares near the declared ones; all weigh alike. The firmest finds the
smallest mismatches, the loosest finds a broken arm within fifty units.
"""


def always_valid(counts: Sequence[int], weights: Sequence[float]) -> float:
    """Return the p-value of "units are dealt by these weights", valid at all looks together. counts: units by arm.

    The evidence is the likelihood under Dirichlet priors around the weights over the likelihood under the weights.
    Under the weights its mean is 1 at every look, so its inverse is a p-value whenever it is read.
    """
    shares = [weight / sum(weights) for weight in weights]
    if any(n and not share for n, share in zip(counts, shares, strict=True)):
        return 0.0  # there are units in an arm of weight 0
    pairs = [(n, share) for n, share in zip(counts, shares, strict=True) if share]
    evidence = log_mean_exp([_log_evidence(pairs, prior_units) for prior_units in PRIOR_UNITS])
    return exp(-max(evidence, 0.0))


def _log_evidence(pairs: Sequence[tuple[int, float]], prior_units: float) -> float:
    evidence = lgamma(prior_units) - lgamma(prior_units + sum(n for n, _ in pairs))
    for n, share in pairs:
        evidence += lgamma(prior_units * share + n) - lgamma(prior_units * share) - n * log(share)
    return evidence


def chi_square(counts: Sequence[int], weights: Sequence[float]) -> float:
    """Return the p-value of the same by Pearson's test, for a single look; 1 if there is no unit."""
    n, total = sum(counts), sum(weights)
    pairs = [(count, n * weight / total) for count, weight in zip(counts, weights, strict=True) if weight]
    if n == 0 or len(pairs) < 2:
        return 1.0
    statistic = sum((count - expected) ** 2 / expected for count, expected in pairs)
    return chi_square_survival(statistic, len(pairs) - 1)
