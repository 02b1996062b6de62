"""The masks say which items may not be in an answer; every tier respects them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.index import AllowedItems
from service.bundles.serving import Indices

NO_ITEMS: Indices = np.zeros(0, np.int32)


class Masks(NamedTuple):
    """own: indices of the person's own items that are left out; empty if all of them are candidates. excluded:
    indices of items that the request excludes. allowed: available items that pass the filter; None for all. only:
    indices of the person's own items if they alone are candidates, then `allowed` has those of them that pass; else
    None.
    """

    own: Indices = NO_ITEMS
    excluded: Indices = NO_ITEMS
    allowed: AllowedItems | None = None
    only: Indices | None = None

    def first_allowed(self, ranked: Indices, limit: int) -> Indices:
        """Return positions in `ranked` (item indices, best first, -1 for none) of the first `limit` allowed ones."""
        blocked = np.concatenate([self.own, self.excluded])
        found = NO_ITEMS
        start, n_looked_at = 0, limit + len(blocked)
        while start < len(ranked) and len(found) < limit:  # a list may be as long as the catalogue
            part = ranked[start : start + n_looked_at]
            is_allowed = (part >= 0) & ~np.isin(part, blocked)
            if self.allowed is not None:
                is_allowed &= self.allowed.contains(np.maximum(part, 0))
            found = np.concatenate([found, np.flatnonzero(is_allowed) + start])[:limit].astype(np.int32)
            start, n_looked_at = start + n_looked_at, 4 * n_looked_at
        return found
