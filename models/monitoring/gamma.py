"""The regularised upper incomplete gamma function: the tail of gamma and chi-square variables."""

from __future__ import annotations

from math import exp, lgamma, log

PRECISION = 1e-13
SMALLEST = 1e-300


def upper_gamma(shape: float, x: float) -> float:
    """Q(shape, x), the probability that a gamma variable of this shape exceeds x; shape > 0, x >= 0.

    By the series below the mean and by Lentz's continued fraction above it (Numerical Recipes, 6.2).
    """
    if x <= 0:
        return 1.0
    scale = exp(shape * log(x) - x - lgamma(shape))
    return 1.0 - scale * _series(shape, x) if x < shape + 1 else scale * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    term = total = 1 / shape
    step = shape
    while abs(term) > abs(total) * PRECISION:
        step += 1
        term *= x / step
        total += term
    return total


def _fraction(shape: float, x: float) -> float:
    b = x + 1 - shape
    c, d = 1 / SMALLEST, 1 / b
    value, number, factor = d, 0, 0.0
    while abs(factor - 1) > PRECISION:
        number += 1
        a = -number * (number - shape)
        b += 2
        d = 1 / (_not_zero(a * d + b))
        c = _not_zero(b + a / c)
        factor = c * d
        value *= factor
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > SMALLEST else SMALLEST
