"""What a person did, as it is kept: the latest moments of each kind for each item, in whatever order events came.

So merging is a maximum: events may be merged in any portions and any number of times, and a later merge need not look
up what was dropped. Removals and returns are kept as such; `models.removals` says what they undo when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History, latest_places
from models.removals import REMOVAL, RETURN, as_seen, standing
from models.student import Floats
from models.vocabulary import id_key
from service.bundles.context import HistoryContext

MAX_LASTING_EVENTS = 1000
"""How many purchases, ratings, dislikes and returns are kept of a person, the latest ones: no views displace them."""

MAX_PASSING_EVENTS = 1000
"""How many other events are kept of a person, the latest ones."""

MAX_STORED_EVENTS = MAX_LASTING_EVENTS + MAX_PASSING_EVENTS

KEY_BITS = 45
"""How many of the highest bits of an item's 64-bit key are kept. Among a million items two share them with a
probability of 1.4 %, and then events of one count for the other; three more bits would cost a byte an event."""

MAX_TIME = 2**32 - 1
MAX_LAG = 2**48 - 1
"""Nine thousand years in milliseconds, so that the lags of old events that arrive today still differ."""

LAG_OF_NOW_MS = 300_000
"""Lags count from this long before an event's own time, since events may be that far ahead of their arrival."""

_LASTING = (EventKind.PURCHASE, EventKind.RATING, EventKind.DISLIKE, RETURN)
_CART_KINDS = (EventKind.CART, REMOVAL)
_KEY_MASK = np.uint64(2**64 - 2 ** (64 - KEY_BITS))


class Occurrence(NamedTuple):
    """One event before it is packed. item_key: 64 bits. time: Unix seconds. received_ms: Unix milliseconds."""

    item_key: int
    kind: int
    time: int
    received_ms: int


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Events by time, and within one second by arrival; of each item and kind only the latest `MAX_COUNT` moments,
    since the student counts no further, and at most `MAX_STORED_EVENTS` in all.

    keys: (n_events,) uint64, the `KEY_BITS` highest bits of `models.vocabulary.id_key`, the others 0.
    times: (n_events,) uint32, Unix seconds. kinds: (n_events,) uint8, `EventKind` codes, `REMOVAL` and `RETURN`.
    lags: (n_events,) uint64; for carts and removals, the milliseconds from `LAG_OF_NOW_MS` before their second to
    their arrival, which order those of one second; 0 if unknown, and for all other kinds.
    is_plain: no item was removed or sent back, so every event stands as it is.
    """

    keys: npt.NDArray[np.uint64]
    times: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]
    lags: npt.NDArray[np.uint64]
    is_plain: bool

    def __len__(self) -> int:
        return len(self.keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredEvents):
            return NotImplemented
        pairs = ((self.keys, other.keys), (self.times, other.times), (self.kinds, other.kinds))
        return all(np.array_equal(*pair) for pair in (*pairs, (self.lags, other.lags)))

    __hash__ = None  # type: ignore[assignment] # arrays have none

    @staticmethod
    def empty() -> StoredEvents:
        """Return the events of a person who is not known."""
        return _NO_EVENTS

    @staticmethod
    def of(occurrences: Iterable[Occurrence]) -> StoredEvents:
        """Pack events, given in the order they arrived."""
        # An item may be put in, removed and put in again in one second: of equal events in a batch the last counts.
        kept: dict[tuple[int, int, int, int], None] = {}
        for item_key, kind, time, received_ms in occurrences:
            lag = received_ms - 1000 * time + LAG_OF_NOW_MS if kind in _CART_KINDS else 0
            event = (item_key, kind, time, min(max(lag, 0), MAX_LAG))
            if lag:
                kept.pop(event, None)
            kept[event] = None
        columns = list(zip(*kept, strict=True)) or [(), (), (), ()]
        return _arranged(
            short_keys(np.array(columns[0], np.uint64)),
            np.array(columns[2], np.uint32),
            np.array(columns[1], np.uint8),
            np.array(columns[3], np.uint64),
        )

    @staticmethod
    def from_history(history: History, item_keys: npt.NDArray[np.uint64]) -> StoredEvents:
        """Pack a bundle's history. item_keys: (n_items,) by item index."""
        items, kinds = history.item_indices, history.kinds
        times = np.clip(history.times, 0, MAX_TIME).astype(np.uint32)
        keep = _within_bounds(latest_places(items.astype(np.int64) << 3 | kinds, times), kinds)
        keys = short_keys(item_keys[items[keep]])
        return StoredEvents(keys, times[keep], kinds[keep], np.zeros(len(keep), np.uint64), True)

    def merged(self, others: StoredEvents) -> StoredEvents:
        """Merge both. Within one second, events that only `others` has count as later."""
        if not len(others):
            return self
        return _arranged(
            np.concatenate([self.keys, others.keys]),
            np.concatenate([self.times, others.times]),
            np.concatenate([self.kinds, others.kinds]),
            np.concatenate([self.lags, others.lags]),
        )

    def item_indices(self, serving: HistoryContext) -> npt.NDArray[np.int32]:
        """Return each event's item in this bundle; -1 if the bundle does not know it."""
        return serving.indices_of_keys(self.keys, KEY_BITS)

    def are_shown(self, item_indices: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_] | None:
        """Tell which events (n_events,) a bundle may see, None for all: those of known items that nothing undid.

        item_indices: (n_events,), -1 for items that the bundle does not know.
        """
        if self.is_plain:
            return None if not len(self) or item_indices.min() >= 0 else item_indices >= 0
        return (item_indices >= 0) & standing(self.keys, self.kinds, self.times, self.lags)

    def standing_keys(self, *kinds: int) -> npt.NDArray[np.uint64]:
        """Return the keys of events that nothing undid, whatever a bundle knows; of these kinds, or of all."""
        stand = standing(self.keys, self.kinds, self.times, self.lags)
        return self.keys[stand & np.isin(as_seen(self.kinds), kinds) if kinds else stand]

    def as_history(self, items: npt.NDArray[np.int32], are_shown: npt.NDArray[np.bool_] | None) -> History:
        """Return the events of `are_shown` as a history. items: (n_shown,), the item of each."""
        shown = slice(None) if are_shown is None else are_shown
        kinds = self.kinds[shown]
        return History(items, self.times[shown].astype(np.int64), kinds if self.is_plain else as_seen(kinds))


_NO_EVENTS = StoredEvents(
    np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.uint64), True
)


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """events, and the vector (n_factors,) float16 that the bundle with this tag computed from them, or None.

    is_erased: the person was to be forgotten, these events came later, and what bundles know does not count.
    """

    events: StoredEvents
    vector: npt.NDArray[np.float16] | None = None
    tag: int = 0
    is_erased: bool = False

    def vector_for(self, serving: HistoryContext) -> Floats | None:
        """Return the vector, if this bundle computed it."""
        if self.vector is None or self.tag != serving.tag or len(self.vector) != serving.n_factors:
            return None
        return self.vector.astype(np.float32)


def short_keys(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Shorten 64-bit item keys to the bits that are stored; any shape."""
    return keys & _KEY_MASK


def short_key(item_id: str) -> int:
    """Return the shortened key of one item's id."""
    return id_key(item_id) >> (64 - KEY_BITS) << (64 - KEY_BITS)


def _arranged(
    keys: npt.NDArray[np.uint64],
    times: npt.NDArray[np.uint32],
    kinds: npt.NDArray[np.uint8],
    lags: npt.NDArray[np.uint64],
) -> StoredEvents:
    """Keep the latest moments of each item and kind among (n,) events in order of arrival.

    Of events of one item, kind and second the one that arrived last is kept, and of equal ones the first.
    """
    by_time = np.argsort(times, kind="stable")
    keys, times, kinds, lags = keys[by_time], times[by_time], kinds[by_time], lags[by_time]
    registers = keys | kinds  # a key's lowest bits are 0
    order = np.lexsort((-np.arange(len(keys)), lags, times))
    latest = np.sort(order[latest_places(registers[order], times[order])])
    keep = _within_bounds(latest, kinds)
    is_plain = not np.isin(kinds[keep], (REMOVAL, RETURN)).any()
    return StoredEvents(keys[keep], times[keep], kinds[keep], lags[keep], is_plain)


def _within_bounds(places: npt.NDArray[np.intp], kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Keep the places of the latest events within the bounds; places rise."""
    if len(places) <= min(MAX_LASTING_EVENTS, MAX_PASSING_EVENTS):
        return places
    are_lasting = np.isin(kinds[places], _LASTING)
    lasting, passing = places[are_lasting], places[~are_lasting]
    return np.sort(np.append(lasting[-MAX_LASTING_EVENTS:], passing[-MAX_PASSING_EVENTS:]))
