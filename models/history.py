"""A person's recent events, and the one function that turns them into the student's input.

Training and serving both encode by `encode_history`, so what was measured offline is what is served. Events go in;
arrays come out, most recent first, padded when several people are stacked. Nothing depends on the wall clock: ages
count from the person's own latest event, so a user vector stays valid until the history changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

MAX_EVENTS = 100
"""How many of a person's most recent events the student reads."""

FEATURE_ORDER = ("item_row", "gap_log_days", "event_kind")
"""The student's inputs per event, in this order. A bundle with another order is refused."""

SECONDS_PER_DAY = 86_400.0

VISIT_GAP_SECONDS = 43_200
"""A pause of half a day ends a visit."""


class EventKind(IntEnum):
    """What a person did. Histories, blobs and Parquet files hold the code."""

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


@dataclass(frozen=True, slots=True)
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
        """Return the history of a person of whom nothing is known."""
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
        """Merge this history with another one by time; on equal times this one's events come first."""
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
        """Return the most recent `n_events` events."""
        if len(self) <= n_events:
            return self
        first = len(self) - n_events
        return History(self.item_indices[first:], self.times[first:], self.kinds[first:])

    def distinct(self) -> History:
        """Keep each item once, at its latest event: what a person touched, in the order of the last touch."""
        newest_first = self.item_indices[::-1]
        _, first_seen = np.unique(newest_first, return_index=True)
        if len(first_seen) == len(self):
            return self
        keep = np.sort(len(self) - 1 - first_seen)
        return History(self.item_indices[keep], self.times[keep], self.kinds[keep])

    def without_item(self, item_index: int) -> History:
        """Return the history as if this item had never been touched; explanations ask what that changes."""
        keep = self.item_indices != item_index
        return History(self.item_indices[keep], self.times[keep], self.kinds[keep])


_EMPTY = History(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.uint8))


class EncodedHistory(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One person's input to the student, in `FEATURE_ORDER`, most recent event first, without padding.

    Processes hold tens of thousands. Since one cannot be part of a cycle, the garbage collector skips them.

    item_rows: (n_events,) int32; item_index + 1, never 0.
    gap_log_days: (n_events,) float32; log(1 + days before the person's latest event).
    event_kinds: (n_events,) uint8; `EventKind` codes.
    """

    item_rows: npt.NDArray[np.int32]
    gap_log_days: npt.NDArray[np.float32]
    event_kinds: npt.NDArray[np.uint8]


class EncodedHistories(NamedTuple):
    """The student's input, in `FEATURE_ORDER`. Column 0 is the most recent event.

    item_rows: (n_people, length) int64; 0 is padding, item_index + 1 otherwise.
    gap_log_days: (n_people, length) float32; log(1 + days before the person's latest event); 0 in padding.
    event_kinds: (n_people, length) int64; `EventKind` codes; 0 in padding.
    """

    item_rows: npt.NDArray[np.int64]
    gap_log_days: npt.NDArray[np.float32]
    event_kinds: npt.NDArray[np.int64]


def encode_history(history: History, max_events: int = MAX_EVENTS) -> EncodedHistory:
    """Turn a history into the student's input: each item once, at its latest event, and of these the last
    `max_events`.
    """
    return encode_distinct(history.distinct(), max_events)


def encode_distinct(history: History, max_events: int = MAX_EVENTS) -> EncodedHistory:
    """Do as `encode_history` for a history that has each item only once."""
    recent = history.last(max_events)
    newest_first = recent.times[::-1]
    gaps = (newest_first[:1] - newest_first) / SECONDS_PER_DAY
    return EncodedHistory(
        recent.item_indices[::-1] + np.int32(1),
        np.log1p(gaps).astype(np.float32),
        recent.kinds[::-1].copy(),
    )


def encode_histories(histories: Sequence[History], max_events: int = MAX_EVENTS) -> EncodedHistories:
    """Encode several people as `encode_history` does, padded to a common length."""
    return pad_histories([encode_history(history, max_events) for history in histories])


def pad_histories(people: Sequence[EncodedHistory]) -> EncodedHistories:
    """Stack people in the order given.

    The common length is the longest history present (at least 1), so a batch of short ones stays cheap.
    """
    shape = (len(people), max([1, *(len(person.item_rows) for person in people)]))
    padded = EncodedHistories(
        np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    )
    for row, person in enumerate(people):
        n_events = len(person.item_rows)
        padded.item_rows[row, :n_events] = person.item_rows
        padded.gap_log_days[row, :n_events] = person.gap_log_days
        padded.event_kinds[row, :n_events] = person.event_kinds
    return padded
