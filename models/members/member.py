"""A fitted member as it runs: arrays, and the code that scores a history. It needs numpy alone, so a service has it.

Training fits members and delegates their scores to these, so what was measured is what is served.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.errors import require as require  # part of what a member of another package is written with
from models.history import History

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[np.generic]]
Known = npt.NDArray[np.bool_]
"""(n_items,), whether an item had events when the member was fitted."""


class FittedMember(ABC):
    """A model of the ensemble, ready to score.

    name: its key in reports and manifests, and the name of its variant.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def n_items(self) -> int:
        """The size of the catalogue."""

    @abstractmethod
    def score(self, histories: Sequence[History]) -> Floats:
        """Score every item for every history; (n_people, n_items) float32, NaN if the member has no opinion.

        Higher is better. The scale is the member's own; items of the history are scored like any other.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return everything that scoring needs, by names of at most 16 letters."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read what `arrays` returned, without copying what is large.

        Raises BundleInconsistent for arrays that do not fit together, KeyError for a missing one.
        """


def with_gaps(scores: Floats, known: Known, is_empty: npt.NDArray[np.bool_] | Sequence[bool]) -> Floats:
    """Set scores in place to NaN for items without events and people of whom nothing is known; return them."""
    scores[:, ~known] = np.nan
    scores[np.asarray(is_empty, np.bool_)] = np.nan
    return scores
