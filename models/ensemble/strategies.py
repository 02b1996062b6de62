"""Every strategy as it runs, by name. One that combines others lies in a bundle before those that it combines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.stacking import FittedNeuralStacking, FittedStacking
from models.ensemble.strategy import FittedStrategy
from models.ensemble.trees import FittedAdaBoost, FittedBagging, FittedBoosting, FittedTree
from models.errors import BundleInconsistent
from models.members.member import Arrays, Floats, require

FITTED_BASES: dict[str, type[FittedStrategy]] = {
    base.name: base
    for base in (
        FittedTree,
        FittedBagging,
        FittedAdaBoost,
        FittedBoosting,
        FittedStacking,
        FittedNeuralStacking,
    )
}


@dataclass(frozen=True)
class FittedSuperStacking(FittedStrategy):
    """Log-odds that are linear in the logits of the bases, in their order."""

    combination: FittedStacking
    bases: Sequence[FittedStrategy] = ()
    name: ClassVar[str] = "super_stacking"

    @property
    def n_features(self) -> int:
        """The number of features a pair must have."""
        return self.bases[0].n_features

    def logit(self, features: Floats) -> Floats:
        """Ask every base, then weigh their logits."""
        return self.combination.logit(np.stack([base.logit(features) for base in self.bases], axis=-1))

    def arrays(self) -> Arrays:
        """Return the combination's arrays; its bases have their own."""
        return self.combination.arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read the combination, without its bases yet."""
        return cls(FittedStacking.from_arrays(arrays))


def parts_of(strategy: FittedStrategy) -> list[FittedStrategy]:
    """Return the strategy, then those that it combines."""
    return [strategy, *(strategy.bases if isinstance(strategy, FittedSuperStacking) else ())]


def from_parts(names: Sequence[str], parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> FittedStrategy:
    """Build the strategy from what `parts_of` returned: names and arrays of each part.

    Raises BundleInconsistent if a name is unknown or the parts do not fit together, KeyError for a missing array.
    """
    require(bool(names), "the manifest names no strategy that combines the members")
    if names[0] != FittedSuperStacking.name:
        require(len(names) == 1, f"{names[0]} combines no other strategies, {list(names[1:])} are given")
        return _base(names[0]).from_arrays(parts[0])
    bases = [_base(name).from_arrays(part) for name, part in zip(names[1:], parts[1:], strict=True)]
    combination = FittedStacking.from_arrays(parts[0])
    require(
        bool(bases) and combination.n_features == len(bases),
        f"super_stacking weighs {combination.n_features} strategies, there are {len(bases)}",
    )
    widths = sorted({base.n_features for base in bases})
    require(len(widths) == 1, f"the strategies combined read {widths} features")
    return FittedSuperStacking(combination, bases)


def _base(name: str) -> type[FittedStrategy]:
    if name not in FITTED_BASES:
        raise BundleInconsistent(
            f"manifest.json names the strategy {name!r}, there are {', '.join(FITTED_BASES)}"
        )
    return FITTED_BASES[name]
