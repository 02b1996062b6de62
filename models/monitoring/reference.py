"""`reference.json`: what a bundle expects of live traffic."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import BundleInconsistent
from models.items import Items
from models.monitoring.disagreement import DisagreementReference
from models.monitoring.histogram import Histogram
from models.monitoring.inputs import CATEGORY, ITEM_POPULARITY, MAX_CATEGORIES, popularity_ranks


class Reference(msgspec.Struct, frozen=True):
    """inputs: by their names in `inputs.WORDS`. categories: codes of `Items.segments` by falling share, which are the
    bins of CATEGORY. disagreement: None if reference traffic was not scored.
    """

    inputs: dict[str, Histogram]
    categories: list[int] = []
    disagreement: DisagreementReference | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the reference in the form that a bundle holds."""
        return dict(msgspec.to_builtins(self))

    @staticmethod
    def from_json(raw: dict[str, Any]) -> Reference:
        """Read a bundle's reference. Raises BundleInconsistent for anything else."""
        try:
            return msgspec.convert(raw, Reference)
        except msgspec.ValidationError as error:
            raise BundleInconsistent(
                f"reference.json: {error}; the monitor reads references written by this release: train again"
            ) from error


class CatalogueBins:
    """The bins of items in ITEM_POPULARITY and CATEGORY, and the available items. categories: the reference's."""

    def __init__(self, items: Items, categories: list[int]) -> None:
        self.ranks: npt.NDArray[np.int64] = popularity_ranks(np.asarray(items.popularity))
        self.available: npt.NDArray[np.bool_] = np.asarray(items.available)
        self.recommendable = items.recommendable
        self._segments = np.asarray(items.segments)
        places = np.full(max(int(self._segments.max(initial=0)) + 1, 1), MAX_CATEGORIES - 1, np.int64)
        for place, code in enumerate(categories[:MAX_CATEGORIES]):
            places[code] = place
        self._places = places

    def numbers(self, item_indices: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.int64]]:
        """Return by input the numbers of events with these items, (n_events,)."""
        return {
            ITEM_POPULARITY: self.ranks[item_indices],
            CATEGORY: self._places[self._segments[item_indices]],
        }
