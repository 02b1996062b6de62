"""The co-occurrence term of a student's score: what each recent event adds to items that go with its item.

    boost of item i = sum over a person's events j of weight(j) * C[item of j, i]

C is sparse: each item's row has few neighbours. The term stands beside the dot product because the contents of a
single basket are of high rank, while a product of d factors can only express rank d. Nothing here is a row per
person, and an item that is in no table has no row and no column: the term adds nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, VISIT_GAP_SECONDS, EncodedHistories

COOCCURRENCE_ARRAYS = ("neighbour_items", "neighbour_weights", "neighbour_scales", "event_decays")
"""The arrays of `Cooccurrence`, by their names in a bundle."""

N_DECAYS = 3
"""The number of scalars in event_decays."""

LAST_VISIT_LOG_DAYS = float(np.log1p(VISIT_GAP_SECONDS / SECONDS_PER_DAY))
"""Events with at most this gap_log_days belong to the last visit."""

Floats = npt.NDArray[np.float32]
ItemIndices = npt.NDArray[np.uint16] | npt.NDArray[np.int32]


class Boosts(NamedTuple):
    """What the term adds to scores, entry by entry; an item may occur in several entries, which are summed.

    item_indices: (n_people, n_entries) int64. values: (n_people, n_entries) float32, 0 where a person has fewer.
    """

    item_indices: npt.NDArray[np.int64]
    values: Floats

    @staticmethod
    def none(n_people: int) -> Boosts:
        """Return boosts that add nothing to anybody's scores."""
        return Boosts(np.zeros((n_people, 0), np.int64), np.zeros((n_people, 0), np.float32))

    def of_items(self, item_indices: npt.NDArray[np.int32]) -> Floats:
        """Sum up for chosen items (n_items,); (n_people, n_items). The catalogue's size adds no cost."""
        distinct, columns = np.unique(item_indices, return_inverse=True)
        total = np.zeros((len(self.values), len(distinct)), np.float32)
        if total.size:
            places = np.minimum(np.searchsorted(distinct, self.item_indices), len(distinct) - 1)
            rows, entries = np.nonzero(distinct[places] == self.item_indices)
            np.add.at(total, (rows, places[rows, entries]), self.values[rows, entries])
        return total[:, columns]

    def dense(self, n_items: int) -> Floats:
        """Sum up by item; (n_people, n_items)."""
        total = np.zeros((len(self.values), n_items), np.float32)
        for row, items, values in zip(total, self.item_indices, self.values, strict=True):
            np.add.at(row, items, values)
        return total


@dataclass(frozen=True)
class Cooccurrence:
    """The matrix C by rows, and how events fade.

    neighbour_items: (n_items + 1, n_neighbours) uint16 or int32 item indices, `index_dtype` of n_items; row 0 is
    padding, row i + 1 has the neighbours of item i.
    neighbour_weights: (n_items + 1, n_neighbours) float32, or int8 with neighbour_scales; 0 is no neighbour.
    neighbour_scales: (n_items + 1,) float32, all ones unless neighbour_weights is int8.
    event_decays: (3,) float32, see `event_weights`.
    """

    neighbour_items: ItemIndices
    neighbour_weights: Floats | npt.NDArray[np.int8]
    neighbour_scales: Floats
    event_decays: Floats

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Cooccurrence:
        """Read what `arrays()` returned, as plain views: indexing np.memmap itself costs microseconds."""
        return Cooccurrence(**{name: np.asarray(arrays[name]) for name in COOCCURRENCE_ARRAYS})

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return `COOCCURRENCE_ARRAYS` by name, ready for a bundle."""
        return {name: getattr(self, name) for name in COOCCURRENCE_ARRAYS}

    def boosts(self, encoded: EncodedHistories) -> Boosts:
        """Return what these people's events add to scores; at most length * n_neighbours entries a person."""
        rows = encoded.item_rows
        weights = event_weights(encoded.gap_log_days, self.event_decays) * self.neighbour_scales[rows]
        values = self.neighbour_weights[rows] * weights[:, :, None]  # (n_people, length, n_neighbours)
        items = self.neighbour_items[rows].astype(np.int64)
        n_entries = values.shape[1] * values.shape[2]
        return Boosts(items.reshape(len(rows), n_entries), values.reshape(len(rows), n_entries))


def event_weights(gap_log_days: Floats, event_decays: Floats) -> Floats:
    """Weigh each event; (n_people, length), newest event first, to the same shape. All weights are positive.

    exp(-a log(1 + position) - b gap_log_days + c [in the last visit]), with event_decays = (a, b, c). No constant is
    needed, since C contains it.
    """
    by_position, by_gap, of_last_visit = event_decays
    position = np.arange(gap_log_days.shape[1], dtype=np.float32)
    is_last_visit = gap_log_days <= LAST_VISIT_LOG_DAYS
    exponents = of_last_visit * is_last_visit - by_position * np.log1p(position) - by_gap * gap_log_days
    return np.exp(exponents, dtype=np.float32)


def index_dtype(n_items: int) -> np.dtype[Any]:
    """Return the smallest type that holds every item index of a catalogue."""
    return np.dtype(np.uint16 if n_items <= np.iinfo(np.uint16).max + 1 else np.int32)
