"""Which items may not be in an answer; every tier keeps to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.history import History
from models.student import Floats
from service.schemas import Filter
from service.serving import Indices, ServingBundle


@dataclass(frozen=True)
class Masks:
    """blocked: item indices of this person's seen and excluded items. penalty: (n_items,) 0 or -inf, or None."""

    blocked: Indices
    penalty: Floats | None

    @staticmethod
    def build(serving: ServingBundle, seen: History, excluded: list[str], wanted: Filter | None) -> Masks:
        """seen: what may not be shown again, empty if it may. excluded: ids; unknown ones exclude nothing."""
        blocked = seen.item_indices
        if excluded:
            found = serving.items.vocabulary.indices_of(excluded, unknown="drop")
            blocked = np.concatenate([blocked, found])
        return Masks(blocked, serving.penalty(wanted))

    def first_allowed(self, ranked: Indices, limit: int) -> Indices:
        """Positions in `ranked` (item indices, best first, -1 for none) of the first `limit` allowed ones."""
        if self.penalty is None:  # blocked items can push out at most their own number
            ranked = ranked[: limit + len(self.blocked) + int(np.count_nonzero(ranked < 0))]
        is_allowed = (ranked >= 0) & ~np.isin(ranked, self.blocked)
        if self.penalty is not None:
            is_allowed &= self.penalty[ranked] == 0
        return np.flatnonzero(is_allowed)[:limit].astype(np.int32)
