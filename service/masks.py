"""Which items may not be in an answer; every tier keeps to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.index import AllowedItems
from service.serving import Indices

NO_ITEMS: Indices = np.zeros(0, np.int32)


class Masks(NamedTuple):
    """seen: item indices of what this person has already, empty if it may be shown again. excluded: of what the
    caller excludes. allowed: what the filter lets pass; None for everything.
    """

    seen: Indices = NO_ITEMS
    excluded: Indices = NO_ITEMS
    allowed: AllowedItems | None = None

    def first_allowed(self, ranked: Indices, limit: int) -> Indices:
        """Positions in `ranked` (item indices, best first, -1 for none) of the first `limit` allowed ones."""
        blocked = np.concatenate([self.seen, self.excluded])
        if self.allowed is None:  # blocked items can push out at most their own number
            ranked = ranked[: limit + len(blocked) + int(np.count_nonzero(ranked < 0))]
        is_allowed = (ranked >= 0) & ~np.isin(ranked, blocked)
        if self.allowed is not None:
            is_allowed &= self.allowed.contains(np.maximum(ranked, 0))
        return np.flatnonzero(is_allowed)[:limit].astype(np.int32)
