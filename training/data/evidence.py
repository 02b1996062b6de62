"""What a shop wants to happen, its target, and how much every other kind of event says about it: the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.history import N_KIND_CODES, EventKind
from models.members.recency import ALIKE

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """target: the kind of event that models predict. weights: (N_KIND_CODES,) float32 from -1 to 1, 1 for the target.

    A weight multiplies that of an item in a person's history: 0 leaves items of this kind out, and a negative one
    speaks against what goes with them.
    """

    target: EventKind = EventKind.PURCHASE
    weights: Weights = field(default_factory=lambda: ALIKE)

    @staticmethod
    def of(target: EventKind, weights: Mapping[EventKind, float]) -> Evidence:
        """Make evidence of the weights of some kinds; the target has 1, every other kind 0."""
        table = np.zeros(N_KIND_CODES, np.float32)
        table[list(weights)] = list(weights.values())
        table[target] = 1.0
        return Evidence(target, table)

    @property
    def of_tastes(self) -> Weights:
        """The weights without what speaks against an item, for models that know no such thing."""
        return np.maximum(self.weights, np.float32(0))

    @property
    def of_targets(self) -> Weights:
        """The weights with which only target events are read."""
        return Evidence.of(self.target, {}).weights
