"""Everybody's recent history in four arrays: the cold copy that a bundle carries and workers share."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from models.errors import StillroomError
from models.history import History
from models.vocabulary import Vocabulary

TIMES_DTYPE = np.dtype(np.uint32)
"""The type of times in a bundle."""


@dataclass(frozen=True)
class Histories:
    """Histories of people by row.

    offsets: (n_people + 1,) int64. item_indices: (n_events,) int32. times: (n_events,) Unix seconds, int64 or, as a
    bundle has them, uint32. kinds: (n_events,) uint8. Events of a person lie oldest first.
    """

    offsets: npt.NDArray[np.int64]
    item_indices: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64] | npt.NDArray[np.uint32]
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
        """Read what `arrays(prefix)` returned, without copying it."""
        return Histories(
            np.asarray(arrays[f"{prefix}.offsets"], np.int64),
            np.asarray(arrays[f"{prefix}.item_indices"], np.int32),
            cast("npt.NDArray[np.uint32]", np.asarray(arrays[f"{prefix}.times"])),
            np.asarray(arrays[f"{prefix}.kinds"], np.uint8),
        )

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return named arrays, ready for a bundle. Raises StillroomError for a time that a bundle cannot hold."""
        if self.times.dtype != TIMES_DTYPE and len(self.times):
            _check_times(int(self.times.min()), int(self.times.max()))
        return {
            f"{prefix}.offsets": self.offsets,
            f"{prefix}.item_indices": self.item_indices,
            f"{prefix}.times": self.times.astype(TIMES_DTYPE, copy=False),
            f"{prefix}.kinds": self.kinds,
        }

    def kept(self, keep: npt.NDArray[np.bool_]) -> Histories:
        """Keep some of the events, and all people in their rows; keep (n_events,)."""
        n_kept_before = np.concatenate([[0], np.cumsum(keep)])
        return Histories(
            n_kept_before[self.offsets].astype(np.int64),
            self.item_indices[keep],
            self.times[keep],
            self.kinds[keep],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> History:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} histories")
        span = slice(self.offsets[row], self.offsets[row + 1])
        times = self.times[span].astype(np.int64, copy=False)
        return History(self.item_indices[span], times, self.kinds[span])

    def __iter__(self) -> Iterator[History]:
        return (self[row] for row in range(len(self)))


def _check_times(earliest: int, latest: int) -> None:
    limits = np.iinfo(TIMES_DTYPE)
    for extreme in (earliest, latest):
        if not limits.min <= extreme <= limits.max:
            raise StillroomError(
                f"an event has the time {extreme}; a bundle holds Unix seconds from {limits.min:,} to "
                f"{limits.max:,}; correct it or drop it before training"
            )


@dataclass(frozen=True)
class ColdHistories:
    """Histories by the shop's own user ids."""

    people: Vocabulary
    histories: Histories

    def expect_random_reads(self) -> None:
        """Tell the kernel that people are read at random, if this is mapped from files.

        A read that misses the page cache then fetches one page and not 128 KB around it. With ten million people and
        nothing cached, finding one took 0.4 ms of CPU and 10 ms of waiting; with read-ahead, 10 ms and 54 ms. Call it
        after everything was verified from front to back.
        """
        for array in (*self.people.arrays("").values(), *self.histories.arrays("").values()):
            base: object = array
            while isinstance(base, np.ndarray):
                base = base.base
            if isinstance(base, mmap.mmap):
                base.madvise(mmap.MADV_RANDOM)

    def find(self, user_id: str) -> History | None:
        """Return a person's history, or None for somebody the bundle does not know."""
        row = self.people.find(user_id)
        return None if row is None else self.histories[row]
