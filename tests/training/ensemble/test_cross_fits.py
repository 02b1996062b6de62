"""Who was seen by which fit, told by a strategy that remembers whom it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.strategy import FittedStrategy
from models.members.member import Arrays
from tests.support.pairs import linear_pairs
from training.ensemble.cross_fits import CrossFits
from training.ensemble.strategy import Strategy
from training.ensemble.super_stacking import SuperStacking
from training.members.member import Floats

PAIRS = linear_pairs(n_people=20, n_per_person=10)


@dataclass(frozen=True)
class Remembered(FittedStrategy):
    known: npt.NDArray[np.float32]
    name: ClassVar[str] = "remembering"
    n_features: ClassVar[int] = 4

    def logit(self, features: Floats) -> Floats:
        return np.isin(features[..., 3], self.known).astype(np.float32)

    def arrays(self) -> Arrays:
        return {"known": self.known}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        return cls(arrays["known"])


class Remembering(Strategy):
    """Gives a logit of 1 to people it was fitted on and 0 to others; column 3 is one value a person."""

    name: ClassVar[str] = "remembering"
    n_fits: ClassVar[int] = 0

    def fit(self, features: Floats, labels: Any, people: Any, **_: Any) -> Self:
        type(self).n_fits += 1
        self._known = np.unique(features[:, 3])
        return self

    def fitted(self) -> Remembered:
        return Remembered(self._known)

    def weights(self) -> npt.NDArray[np.float64]:
        return np.ones(4)

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


def cross_fits(n_folds: int = 4) -> CrossFits:
    Remembering.n_fits = 0
    factories = {"base": Remembering, "super": lambda: SuperStacking().over({"base": Remembering})}
    return CrossFits(factories, PAIRS.features, PAIRS.labels, PAIRS.people, n_folds=n_folds, seed=0)


def test_out_of_fold_logits_are_of_strangers() -> None:
    np.testing.assert_array_equal(cross_fits().logits("base"), np.zeros(200))


def test_a_fit_has_seen_all_folds_but_those_held_out() -> None:
    fits = cross_fits()
    known = fits.without("base", 1, 3).strategy.logit(PAIRS.features)
    np.testing.assert_array_equal(known == 1, np.isin(fits.folds, [0, 2]))


def test_logits_of_folds_held_out_are_missing() -> None:
    fits = cross_fits()
    np.testing.assert_array_equal(np.isnan(fits.logits("base", 2)), fits.folds == 2)


def test_each_fit_is_made_once() -> None:
    fits = cross_fits()
    assert fits.without("base", 1, 3) is fits.without("base", 3, 1)
    assert Remembering.n_fits == 1


def test_a_combination_never_learns_from_fits_that_saw_its_held_out_fold() -> None:
    fits = cross_fits()
    fits.without("super", 0)
    seen = [
        fit.strategy.logit(PAIRS.features[fits.folds == 0]).any()
        for (name, _), fit in fits._fits.items()
        if name == "base"
    ]
    assert len(seen) == 4  # three with one more fold held out, and one on the three folds together
    assert not any(seen)


def test_a_cross_fitted_combination_shares_its_bases_fits() -> None:
    fits = cross_fits()
    fits.logits("super")
    fits.logits("base")
    fits.without("super")
    assert Remembering.n_fits == 6 + 4 + 1  # pairs of folds, single folds, everybody


def test_a_combination_costs_what_its_bases_cost() -> None:
    fits = cross_fits()
    for fold in ([], [0], [1], [2], [3]):
        fits.without("base", *fold).cost.seconds = 1000.0
    assert fits.without("super").cost.seconds > 5000.0


def test_a_combination_needs_as_much_memory_as_its_largest_base() -> None:
    fits = cross_fits()
    fits.without("base", 2).cost.peak_memory_bytes = 10**15
    assert fits.without("super").cost.peak_memory_bytes == 10**15
