"""The ensemble as it runs: fitted members, the items' features, and the strategy that weighs them.

Training and a service build the same ensemble: training from what it fitted, a service from a bundle's arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.ensemble.meta_features import meta_features
from models.ensemble.opinions import Opinions
from models.ensemble.strategy import FittedStrategy
from models.history import History
from models.members.member import FittedMember, Floats
from models.repeats import RepeatModel

PAIRS_AT_ONCE = 1_000_000
"""How many (person, item) pairs of the whole catalogue are described together: their 30 features and what a strategy
makes of them take 400 MB."""


@dataclass(frozen=True)
class FittedEnsemble:
    """members: in the order of meta-features. repeats: of own items, with how all
    items sell, at one moment in a bundle and at many in training.
    """

    members: Sequence[FittedMember]
    repeats: RepeatModel
    strategy: FittedStrategy

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return self.repeats.n_items

    def score(self, histories: Sequence[History]) -> Floats:
        """Return the logit that each item is a target next; (n_people, n_items) float32."""
        n_at_once = max(1, PAIRS_AT_ONCE // max(self.n_items, 1))
        chunks = [
            self._score_chunk(histories[start : start + n_at_once])
            for start in range(0, len(histories), n_at_once)
        ]
        return np.concatenate([np.zeros((0, self.n_items), np.float32), *chunks])

    def _score_chunk(self, histories: Sequence[History]) -> Floats:
        opinions = [Opinions.of(member.score(histories), histories) for member in self.members]
        return self.strategy.logit(meta_features(opinions, histories, self.repeats))
