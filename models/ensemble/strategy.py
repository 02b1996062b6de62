"""A fitted strategy as it runs: meta-features in, a purchase logit out. It needs numpy and onnxruntime only.

Training fits strategies and delegates their logits to these, so what was measured is what is served.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy.typing as npt

from models.members.member import Arrays, Floats


class FittedStrategy(ABC):
    """A way to weigh members, ready to score. name: its key in reports and manifests."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def n_features(self) -> int:
        """The number of features a pair must have."""

    @abstractmethod
    def logit(self, features: Floats) -> Floats:
        """Return the log-odds of each pair; (..., n_features) to (...,) float32."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return everything that this strategy alone needs, by names of at most 16 letters."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read what `arrays` returned.

        Raises BundleInconsistent for arrays that do not fit together, KeyError for a missing one.
        """
