"""The co-occurrence term of a student's score: what each recent event adds to items that go with its item, and to
its own item.

    boost of item i = sum over a person's events j of weight(j) * C[item of j, i]
                      + own(i) + what kind, count and age of its own event and the odds that it is bought again
                      add, if the person has one with it

The own part says what is bought again: milk, and not fridges; and that what was looked at is more likely to be taken
than what was not. C is sparse: each item's row has few neighbours. The term stands beside the dot product because the
contents of a single basket are of high rank, while a product of d factors can only express rank d. Nothing here is a
row per person, and an item that is in no table has no row and no column: the term adds nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import N_KIND_CODES, SECONDS_PER_DAY, VISIT_GAP_SECONDS, EncodedHistories

COOCCURRENCE_ARRAYS = (
    "neighbour_items",
    "neighbour_weights",
    "neighbour_scales",
    "event_decays",
    "own_weights",
    "own_decays",
)
"""The arrays of `Cooccurrence`, by their names in a bundle."""

N_SCALARS = 3
"""The number of scalars by which an event counts, besides one for each kind."""
N_DECAYS = 1 + N_SCALARS + N_KIND_CODES
"""The length of event_decays."""
N_OWN_DECAYS = N_SCALARS + N_KIND_CODES + 1
"""The length of own_decays."""

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
    event_decays: (N_DECAYS,) float32, see `event_weights`.
    own_weights: (n_items + 1,) float32; row i + 1 is what an event with item i adds to item i itself.
    own_decays: (N_OWN_DECAYS,) float32, see `own_additions`.
    """

    neighbour_items: ItemIndices
    neighbour_weights: Floats | npt.NDArray[np.int8]
    neighbour_scales: Floats
    event_decays: Floats
    own_weights: Floats
    own_decays: Floats

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Cooccurrence:
        """Read what `arrays()` returned, as plain views: indexing np.memmap itself costs microseconds."""
        return Cooccurrence(**{name: np.asarray(arrays[name]) for name in COOCCURRENCE_ARRAYS})

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return `COOCCURRENCE_ARRAYS` by name, ready for a bundle."""
        return {name: getattr(self, name) for name in COOCCURRENCE_ARRAYS}

    def boosts(self, encoded: EncodedHistories) -> Boosts:
        """Return what these people's events add to scores; at most length * (n_neighbours + 1) entries a person."""
        rows = encoded.item_rows
        weights = event_weights(encoded, self.event_decays) * self.neighbour_scales[rows]
        values = self.neighbour_weights[rows] * weights[:, :, None]  # (n_people, length, n_neighbours)
        items = self.neighbour_items[rows].astype(np.int64)
        n_entries = values.shape[1] * values.shape[2]
        own = (self.own_weights[rows] + own_additions(encoded, self.own_decays)) * (rows > 0)
        return Boosts(
            np.concatenate([items.reshape(len(rows), n_entries), np.maximum(rows - 1, 0)], axis=1),
            np.concatenate([values.reshape(len(rows), n_entries), own], axis=1).astype(np.float32),
        )


def event_weights(encoded: EncodedHistories, event_decays: Floats) -> Floats:
    """Weigh each event by what it is; (n_people, length). All weights are positive.

    exp(-a log(1 + position) - b gap_log_days + c [in the last visit] + d log_count + e[kind]), with event_decays =
    (a, b, c, d, *e). No constant is needed, since C contains it.
    """
    by_position, scalars = event_decays[0], event_decays[1 : 1 + N_SCALARS]
    position = np.arange(encoded.item_rows.shape[1], dtype=np.float32)
    exponents = _additions(encoded, scalars, event_decays[1 + N_SCALARS :]) - by_position * np.log1p(position)
    return np.exp(exponents, dtype=np.float32)


def own_additions(encoded: EncodedHistories, own_decays: Floats) -> Floats:
    """Return what each event adds to its own item besides own_weights; (n_people, length), of either sign.

    -b gap_log_days + c [in the last visit] + d log_count + e[kind] + f repeat_log_odds, with own_decays =
    (b, c, d, *e, f).
    """
    added = _additions(encoded, own_decays[:N_SCALARS], own_decays[N_SCALARS:-1])
    return np.asarray(added + own_decays[-1] * encoded.repeat_log_odds, np.float32)


def _additions(encoded: EncodedHistories, scalars: Floats, of_kinds: Floats) -> Floats:
    by_gap, of_last_visit, by_count = scalars
    is_last_visit = encoded.gap_log_days <= LAST_VISIT_LOG_DAYS
    added = of_last_visit * is_last_visit - by_gap * encoded.gap_log_days + by_count * encoded.log_counts
    return np.asarray(added + of_kinds[encoded.event_kinds], np.float32)


def index_dtype(n_items: int) -> np.dtype[Any]:
    """Return the smallest type that holds every item index of a catalogue."""
    return np.dtype(np.uint16 if n_items <= np.iinfo(np.uint16).max + 1 else np.int32)
