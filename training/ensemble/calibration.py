"""Calibration: turn logits into probabilities that can be trusted.

A strategy's logit reflects the rate of the pairs it was fitted on, about one taken in a hundred. A probability
is wanted at another rate: of one taken and one uniformly drawn item, is this the taken one? `of_rate` only shifts
the logits to that rate; `fitted_on` also rescales them if they were too sure or not sure enough (Platt 1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from training.ensemble.strategy import Labels, People, Weights
from training.members.member import Floats

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """P(taken) = sigmoid(slope * logit + intercept), if one taken and one uniform item are equally likely."""

    slope: float
    intercept: float

    @staticmethod
    def of_rate(n_positives: int, n_negatives: int) -> Calibration:
        """Correct for the rate of the fitted pairs by Bayes' rule; both counts are >= 1."""
        return Calibration(1.0, float(np.log(n_negatives / n_positives)))

    @staticmethod
    def fitted_on(logits: Floats, labels: Labels, weights: Doubles) -> Calibration:
        """Fit by maximum likelihood on out-of-fold logits; all (n_pairs,), with a positive weight on both labels."""
        scale = max(float(logits.std()), 1e-6)
        model = LogisticRegression(C=np.inf, max_iter=1000)
        model.fit(logits[:, None] / scale, labels, sample_weight=weights)
        return Calibration(float(model.coef_[0, 0]) / scale, float(model.intercept_[0]))

    def probability(self, logits: Floats) -> Doubles:
        """Return P(taken) in the shape of logits; -inf gives 0."""
        return np.asarray(expit(self.slope * logits.astype(np.float64) + self.intercept))


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed rates in bins of ascending probability; all (n_bins,), with n_pairs >= 1 each."""

    predicted: Doubles
    observed: Doubles
    n_pairs: npt.NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Expected calibration error: |predicted - observed|, averaged over pairs."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.n_pairs))


def reliability(probabilities: Doubles, labels: Labels, *, n_bins: int = 10) -> Reliability:
    """Bin pairs by probability, equally many per bin; equal probabilities share one, so there may be fewer bins."""
    edges = np.quantile(probabilities, np.linspace(0, 1, n_bins + 1)[1:-1])
    _, found = np.unique(np.searchsorted(edges, probabilities), return_inverse=True)
    n_pairs = np.bincount(found)
    return Reliability(
        np.bincount(found, probabilities) / n_pairs, np.bincount(found, labels) / n_pairs, n_pairs
    )


def brier_score(probabilities: Doubles, labels: Labels) -> float:
    """Return the mean squared error of the probabilities (Brier 1950); always saying one half scores 0.25."""
    return float(((probabilities - labels) ** 2).mean())


def balanced_weights(labels: Labels, people: People, weights: Weights | None = None) -> Doubles:
    """Return weights that make each person's negatives count as much as their positives, which weigh 1; (n_pairs,).

    weights: how many pairs each stands for, by which negatives differ. The pairs of a person who has only one label
    cannot be balanced, and weigh 0.
    """
    _, person = np.unique(people, return_inverse=True)
    n_positives = np.bincount(person, labels)[person]
    stands_for = np.ones(len(labels)) if weights is None else weights
    n_negatives = np.bincount(person, ~labels * stands_for)[person]
    balanced = np.where(labels, 1.0, stands_for * n_positives / np.maximum(n_negatives, 1e-12))
    return np.where(n_negatives > 0, balanced, 0.0)
