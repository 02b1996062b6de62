"""Everybody's recent history in four arrays: the cold copy that a bundle carries and workers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.history import History
from models.vocabulary import Vocabulary


@dataclass(frozen=True)
class Histories:
    """Histories of people by row.

    offsets: (n_people + 1,) int64. item_indices: (n_events,) int32. times: (n_events,) int64, Unix seconds.
    kinds: (n_events,) uint8. Events of a person lie oldest first.
    """

    offsets: npt.NDArray[np.int64]
    item_indices: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]

    @staticmethod
    def from_list(histories: Sequence[History]) -> Histories:
        """Pack histories in the order given."""
        offsets = np.zeros(len(histories) + 1, np.int64)
        np.cumsum([len(history) for history in histories], out=offsets[1:])
        filled = [History.empty(), *histories]
        return Histories(
            offsets,
            np.concatenate([history.item_indices for history in filled]),
            np.concatenate([history.times for history in filled]),
            np.concatenate([history.kinds for history in filled]),
        )

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Histories:
        """Read back what `arrays(prefix)` gave, without copying it."""
        return Histories(
            np.asarray(arrays[f"{prefix}.offsets"], np.int64),
            np.asarray(arrays[f"{prefix}.item_indices"], np.int32),
            np.asarray(arrays[f"{prefix}.times"], np.int64),
            np.asarray(arrays[f"{prefix}.kinds"], np.uint8),
        )

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """The histories as named arrays, ready for a bundle."""
        return {
            f"{prefix}.offsets": self.offsets,
            f"{prefix}.item_indices": self.item_indices,
            f"{prefix}.times": self.times,
            f"{prefix}.kinds": self.kinds,
        }

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> History:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} histories")
        span = slice(self.offsets[row], self.offsets[row + 1])
        return History(self.item_indices[span], self.times[span], self.kinds[span])

    def __iter__(self) -> Iterator[History]:
        return (self[row] for row in range(len(self)))


@dataclass(frozen=True)
class ColdHistories:
    """Histories found by the shop's own user id."""

    people: Vocabulary
    histories: Histories

    def find(self, user_id: str) -> History | None:
        """The history of a person, or None for somebody the bundle does not know."""
        row = self.people.find(user_id)
        return None if row is None else self.histories[row]
