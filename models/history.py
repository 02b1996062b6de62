"""A person's recent events, and the one function that turns them into the student's input.

Training and serving both call `encode_histories`, so what was measured offline is what is served.
Events go in; padded arrays go out, most recent first. Nothing depends on the wall clock: ages are counted
from the person's own latest event, so a user vector stays valid until the person's history changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAX_EVENTS = 100
"""The most recent events of a person that the student reads."""

FEATURE_ORDER = ("item_row", "gap_log_days", "event_kind")
"""The student's inputs per event, in this order. A bundle with another order is refused."""

SECONDS_PER_DAY = 86_400.0

VISIT_GAP_SECONDS = 43_200
"""A pause of half a day ends a visit."""


class EventKind(IntEnum):
    """What a person did. The code is what histories, blobs and Parquet files hold."""

    VIEW = 0
    CLICK = 1
    CART = 2
    PURCHASE = 3
    RATING = 4


class Event(NamedTuple):
    """One thing a person did with one item of the vocabulary."""

    item_index: int
    time: int  # Unix seconds
    kind: int = EventKind.PURCHASE


@dataclass(frozen=True)
class History:
    """One person's events, oldest first.

    item_indices: (n_events,) int32, rows of the item vocabulary.
    times: (n_events,) int64, Unix seconds, not decreasing.
    kinds: (n_events,) uint8, `EventKind` codes.
    """

    item_indices: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.item_indices)

    @staticmethod
    def empty() -> History:
        """A person of whom nothing is known."""
        return _EMPTY

    @staticmethod
    def from_events(events: Iterable[Event]) -> History:
        """Sort events by time (stable: events of one second keep their order)."""
        ordered = sorted(events, key=lambda event: event.time)
        return History(
            np.array([event.item_index for event in ordered], dtype=np.int32),
            np.array([event.time for event in ordered], dtype=np.int64),
            np.array([event.kind for event in ordered], dtype=np.uint8),
        )

    def extended(self, later: History) -> History:
        """This history and another one, merged by time; on equal times this one comes first."""
        if not len(later):
            return self
        times = np.concatenate([self.times, later.times])
        order = np.argsort(times, kind="stable")
        return History(
            np.concatenate([self.item_indices, later.item_indices])[order],
            times[order],
            np.concatenate([self.kinds, later.kinds])[order],
        )

    def last(self, n_events: int) -> History:
        """The most recent `n_events` events."""
        if len(self) <= n_events:
            return self
        first = len(self) - n_events
        return History(self.item_indices[first:], self.times[first:], self.kinds[first:])

    def distinct(self) -> History:
        """Each item once, at its latest event: what a person touched, in the order they last touched it."""
        newest_first = self.item_indices[::-1]
        _, first_seen = np.unique(newest_first, return_index=True)
        if len(first_seen) == len(self):
            return self
        keep = np.sort(len(self) - 1 - first_seen)
        return History(self.item_indices[keep], self.times[keep], self.kinds[keep])

    def without_item(self, item_index: int) -> History:
        """The history as if this item had never been touched; explanations ask what that changes."""
        keep = self.item_indices != item_index
        return History(self.item_indices[keep], self.times[keep], self.kinds[keep])


_EMPTY = History(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.uint8))


class EncodedHistories(NamedTuple):
    """The student's input, in `FEATURE_ORDER`. Column 0 is the most recent event.

    item_rows: (n_people, length) int64; 0 is padding, item_index + 1 otherwise.
    gap_log_days: (n_people, length) float32; log(1 + days before the person's latest event); 0 in padding.
    event_kinds: (n_people, length) int64; `EventKind` codes; 0 in padding.
    """

    item_rows: npt.NDArray[np.int64]
    gap_log_days: npt.NDArray[np.float32]
    event_kinds: npt.NDArray[np.int64]


def encode_histories(histories: Sequence[History], max_events: int = MAX_EVENTS) -> EncodedHistories:
    """Turn histories into the student's input: each item once, at its latest event, and of those the last
    `max_events`.

    The common length is the longest history present (at least 1), so a batch of short ones stays cheap.
    """
    recent = [history.distinct().last(max_events) for history in histories]
    length = max([1, *map(len, recent)])
    shape = (len(recent), length)
    encoded = EncodedHistories(
        np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    )
    for row, history in enumerate(recent):
        n_events = len(history)
        if not n_events:
            continue
        encoded.item_rows[row, :n_events] = history.item_indices[::-1] + 1
        gaps = (history.times[-1] - history.times[::-1]) / SECONDS_PER_DAY
        encoded.gap_log_days[row, :n_events] = np.log1p(gaps)
        encoded.event_kinds[row, :n_events] = history.kinds[::-1]
    return encoded
