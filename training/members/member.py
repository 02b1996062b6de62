"""The contract of an ensemble member: fit on the past, then score the whole catalogue for any history.

A member scores a history, not a user row. So it can score people who were in no fit, every prefix of a history and
augmented copies, and the student can be taught on all of them. A score that a member cannot give is NaN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import FittedMember
from training.base.callback import Progress, no_progress
from training.data.dataset import Interactions

Floats = npt.NDArray[np.float32]


class Member(ABC):
    """One model of the ensemble.

    name: its key in reports and manifests. scores_strangers, scores_new_items: whether an empty history and an
    item without events get scores, not NaN. is_personal: whether two histories may be scored differently.
    """

    name: ClassVar[str]
    scores_strangers: ClassVar[bool] = False
    scores_new_items: ClassVar[bool] = False
    is_personal: ClassVar[bool] = True

    @abstractmethod
    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Learn from scratch; a second call forgets the first. Raises NotFinite if training diverges."""

    @abstractmethod
    def fitted(self) -> FittedMember:
        """Return what was learned, in the form that a bundle carries and a service runs; nothing large is copied."""

    def score(self, histories: Sequence[History]) -> Floats:
        """Score every item for every history; (n_people, n_items) float32, NaN where the member has no opinion.

        Higher is better. Each member has a scale of its own; items of the history are scored like any other.
        """
        return self.fitted().score(histories)

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what scoring needs into a folder, as plain arrays."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; scores are identical to the bit."""
