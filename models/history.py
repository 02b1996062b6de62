"""A person's recent events, and the one function that turns them into the student's input.

Training and serving both encode by `encode_history`, so what was measured offline is what is served. Events go in;
arrays come out, most recent first, padded when several people are stacked. Nothing depends on the wall clock: ages
count from the person's own latest event, so a user vector stays valid until the history changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

MAX_EVENTS = 100
"""How many of a person's most recent events the student reads."""

FEATURE_ORDER = ("item_row", "gap_log_days", "event_kind", "log_count", "repeat_log_odds")
"""The student's inputs per event, in this order. A bundle with another order is refused."""

SECONDS_PER_DAY = 86_400.0

VISIT_GAP_SECONDS = 43_200
"""A pause of half a day ends a visit."""


class EventKind(IntEnum):
    """What a person did. Histories, blobs and Parquet files hold the code, in three bits.

    5 is a removal from the cart (`models.removals`), which no model sees. RATING: a rating that is not low. DISLIKE:
    a low rating, or a dislike said as such.
    """

    VIEW = 0
    CLICK = 1
    CART = 2
    PURCHASE = 3
    RATING = 4
    DISLIKE = 6


N_KIND_CODES = 8
"""The number of codes that three bits hold; tables by kind have a row for each."""

BY_STRENGTH = (
    EventKind.VIEW,
    EventKind.CLICK,
    EventKind.CART,
    EventKind.RATING,
    EventKind.PURCHASE,
    EventKind.DISLIKE,
)
"""Kinds from the weakest to the strongest: of all that a person did with an item, the strongest stands for it."""

STRENGTHS = np.zeros(N_KIND_CODES, np.uint8)
STRENGTHS[list(BY_STRENGTH)] = np.arange(len(BY_STRENGTH))
STRENGTHS.setflags(write=False)

MAX_COUNT = 8
"""How many events of one kind are kept of a person and an item, the latest ones."""

IS_WEAK = np.isin(np.arange(N_KIND_CODES), (EventKind.VIEW, EventKind.CLICK))
"""(N_KIND_CODES,), kinds that come by the dozen: they may not displace the others from what the student reads."""


def latest_places(registers: npt.NDArray[np.integer], times: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Return the places of the last `MAX_COUNT` events of each register; events of one moment count once.

    registers: (n_events,), equal for events of one item and kind. times: (n_events,), not falling. Of events of one
    register and moment the last is kept. Places rise.
    """
    order = np.argsort(registers, kind="stable")
    own, moments = registers[order], times[order]
    is_last = np.ones(len(own), np.bool_)
    is_last[:-1] = (own[1:] != own[:-1]) | (moments[1:] != moments[:-1])
    order, own = order[is_last], own[is_last]
    ends = np.searchsorted(own, own, side="right")
    return np.sort(order[ends - np.arange(len(own)) <= MAX_COUNT])


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
    asked_at: Unix seconds at which something is asked about the person, where an offline question says it; 0 for the
        latest event. A service asks now, and knows of no other moment.
    """

    item_indices: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    asked_at: int = 0

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
        """Keep each item once, at the latest event of its strongest kind: what a person did with it, in time."""
        return self.counted()[0]

    def counted(self) -> tuple[History, npt.NDArray[np.int64]]:
        """Return `distinct`, and at how many moments the kept kind happened to each of its items; (n_items,).

        Moments beyond `MAX_COUNT` do not count: no more are kept of a person.
        """
        n_events = len(self)
        if n_events < 2:
            return self, np.ones(n_events, np.int64)
        order = np.lexsort((STRENGTHS[self.kinds], self.item_indices))  # stable: equal ones stay in time
        items, kinds, times = self.item_indices[order], self.kinds[order], self.times[order]
        is_last_of_kind = np.append((items[1:] != items[:-1]) | (kinds[1:] != kinds[:-1]), True)
        last_of_kind = np.flatnonzero(is_last_of_kind)
        is_last_of_item = np.append(np.diff(items[last_of_kind]) != 0, True)
        kept = order[last_of_kind[is_last_of_item]]
        n_moments = np.cumsum(np.append(is_last_of_kind[:-1] | (times[1:] != times[:-1]), True))
        of_kind = np.diff(n_moments[last_of_kind], prepend=0)
        counts = np.minimum(of_kind[is_last_of_item], MAX_COUNT)
        in_time = np.argsort(kept)
        if len(kept) == n_events:
            return self, counts
        kept = kept[in_time]
        return History(self.item_indices[kept], self.times[kept], self.kinds[kept]), counts[in_time]

    def items_of(self, kind: int) -> npt.NDArray[np.int32]:
        """Return the items that have an event of a kind, each once, rising."""
        return np.unique(self.item_indices[self.kinds == kind])

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
    log_counts: (n_events,) float32; log of how many events of that kind the item has.
    repeat_log_odds: (n_events,) float32; log-odds that the item is in the next basket (models/repeats.py).
    """

    item_rows: npt.NDArray[np.int32]
    gap_log_days: npt.NDArray[np.float32]
    event_kinds: npt.NDArray[np.uint8]
    log_counts: npt.NDArray[np.float32]
    repeat_log_odds: npt.NDArray[np.float32]


class EncodedHistories(NamedTuple):
    """The student's input, in `FEATURE_ORDER`. Column 0 is the most recent event.

    item_rows: (n_people, length) int64; 0 is padding, item_index + 1 otherwise.
    gap_log_days: (n_people, length) float32; log(1 + days before the person's latest event); 0 in padding.
    event_kinds: (n_people, length) int64; `EventKind` codes; 0 in padding.
    log_counts: (n_people, length) float32; log of how many events of that kind the item has; 0 in padding.
    repeat_log_odds: (n_people, length) float32; log-odds that the item is in the next basket; 0 in padding.
    """

    item_rows: npt.NDArray[np.int64]
    gap_log_days: npt.NDArray[np.float32]
    event_kinds: npt.NDArray[np.int64]
    log_counts: npt.NDArray[np.float32]
    repeat_log_odds: npt.NDArray[np.float32]


LogOdds = Callable[[History, History], npt.NDArray[np.float32]]
"""Returns the log-odds that each item of `history.distinct()`, the second argument, is in the next basket."""


def encode_history(
    history: History, max_events: int = MAX_EVENTS, log_odds: LogOdds | None = None
) -> EncodedHistory:
    """Turn a history into the student's input: each item once, as `History.counted` says, and the last `max_events`
    of these. Where there are more, half of the places are kept for what is stronger than a view or a click.
    log_odds: of repeats; None where nothing is known of them: they are all 0.
    """
    distinct, counts = history.counted()
    repeats = np.zeros(len(distinct), np.float32) if log_odds is None else log_odds(history, distinct)
    if len(distinct) > max_events:
        kept = _latest(IS_WEAK[distinct.kinds], max_events)
        distinct = History(distinct.item_indices[kept], distinct.times[kept], distinct.kinds[kept])
        counts, repeats = counts[kept], repeats[kept]
    newest_first = distinct.times[::-1]
    gaps = (newest_first[:1] - newest_first) / SECONDS_PER_DAY
    return EncodedHistory(
        distinct.item_indices[::-1] + np.int32(1),
        np.log1p(gaps).astype(np.float32),
        distinct.kinds[::-1].copy(),
        np.log(counts[::-1]).astype(np.float32),
        np.ascontiguousarray(repeats[::-1]),
    )


def _latest(is_weak: npt.NDArray[np.bool_], n_kept: int) -> npt.NDArray[np.intp]:
    """Return the places of the last `n_kept` items, of which at least half are not weak if there are as many."""
    strong, weak = np.flatnonzero(~is_weak), np.flatnonzero(is_weak)
    reserved = strong[max(0, len(strong) - n_kept // 2) :]
    others = np.sort(np.append(strong[: len(strong) - len(reserved)], weak))
    return np.sort(np.append(reserved, others[max(0, len(others) - (n_kept - len(reserved))) :]))


def encode_histories(
    histories: Sequence[History], max_events: int = MAX_EVENTS, log_odds: LogOdds | None = None
) -> EncodedHistories:
    """Encode several people as `encode_history` does, padded to a common length."""
    return pad_histories([encode_history(history, max_events, log_odds) for history in histories])


def pad_histories(people: Sequence[EncodedHistory]) -> EncodedHistories:
    """Stack people in the order given.

    The common length is the longest history present (at least 1), so a batch of short ones stays cheap.
    """
    shape = (len(people), max([1, *(len(person.item_rows) for person in people)]))
    padded = EncodedHistories(
        np.zeros(shape, np.int64),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
    for row, person in enumerate(people):
        n_events = len(person.item_rows)
        padded.item_rows[row, :n_events] = person.item_rows
        padded.gap_log_days[row, :n_events] = person.gap_log_days
        padded.event_kinds[row, :n_events] = person.event_kinds
        padded.log_counts[row, :n_events] = person.log_counts
        padded.repeat_log_odds[row, :n_events] = person.repeat_log_odds
    return padded
