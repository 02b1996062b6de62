"""Labelled pairs with a known answer: which columns tell, which are noise, and at what odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit


@dataclass(frozen=True)
class Pairs:
    """features (n_pairs, 4) float32, labels and people (n_pairs,); log_odds (n_pairs,): the truth behind labels."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    people: npt.NDArray[np.int64]
    log_odds: npt.NDArray[np.float64]


def linear_pairs(*, n_people: int = 60, n_per_person: int = 30, seed: int = 0) -> Pairs:
    """Log-odds 3 * column 0 + column 1 - 2; columns 2 and 3 say nothing, and column 3 is one value a person."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_people), n_per_person)
    features = rng.normal(size=(len(people), 4)).astype(np.float32)
    features[:, 3] = rng.normal(size=n_people)[people]
    log_odds = 3.0 * features[:, 0].astype(np.float64) + features[:, 1] - 2.0
    return Pairs(features, rng.random(len(people)) < expit(log_odds), people, log_odds)


def striped_pairs(*, n_people: int = 60, n_per_person: int = 30, seed: int = 0) -> Pairs:
    """Taken in nine cases of ten where |column 0| < 0.5 and in one of twenty elsewhere: no line tells them apart."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_people), n_per_person)
    features = rng.normal(size=(len(people), 4)).astype(np.float32)
    rate = np.where(np.abs(features[:, 0]) < 0.5, 0.9, 0.05)
    return Pairs(features, rng.random(len(people)) < rate, people, np.log(rate / (1 - rate)))
