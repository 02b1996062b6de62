"""Counts which items people have taken lately, from accepted events: what is popular, and what is new.

As in training's popularity, an event counts 0.5 ** (its age / the half-life). Only the first event of a kind counts
for each person and item: reloading a page makes nothing popular. The bounds on items and on pairs of person and item
keep this under 20 MB; it exists only while there is no bundle.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from time import time
from typing import NamedTuple

import msgspec

from models.history import SECONDS_PER_DAY
from service.log.records import EventRecord
from service.people.stored import short_key

HALF_LIFE_DAYS = 15.0
"""Equal to training's `popularity.half_life_days`."""

NEW_DAYS = 14.0
"""How long an item is new after its first event."""

MAX_ITEMS = 10_000
MAX_PAIRS = 100_000
"""The number of (person, item, kind) hashes that are remembered as counted, at 100 bytes each."""

LEAVING_SHARE = 10
"""When there are too many items, one in this many leaves: those that count least. Finding them takes 2 ms."""

TEACHES_NOTHING = frozenset({"impression", "removal", "return", "dislike"})


class PopularItem(NamedTuple):
    """key: the item's key in histories. first_time: the time of its first event, Unix seconds."""

    item_id: str
    key: int
    first_time: int


class Ranked(NamedTuple):
    """popular: by falling decayed count, ties by id. new: new items by falling first time; only those that at least
    two people have taken, so that a mistyped id is not shown to everybody.
    """

    popular: Sequence[PopularItem] = ()
    new: Sequence[PopularItem] = ()


class _Counted(msgspec.Struct):
    """weight: decayed to the counter's epoch. first_person: hash of who came first. is_shared: a second one came."""

    item: PopularItem
    weight: float
    first_person: int
    is_shared: bool = False


class LivePopularity:
    """epoch: Unix seconds, to which weights are decayed or grown; any moment in this process's life will do."""

    def __init__(
        self, epoch: float | None = None, *, max_items: int = MAX_ITEMS, max_pairs: int = MAX_PAIRS
    ) -> None:
        self._epoch = time() if epoch is None else epoch
        self._max_items = max_items
        self._max_pairs = max_pairs
        self._items: dict[str, _Counted] = {}
        self._pairs: OrderedDict[int, None] = OrderedDict()
        """Hashes, in order of arrival."""

    def count(self, events: Iterable[EventRecord]) -> None:
        """Count events, except those whose pair is remembered as counted already. Takes 4 µs each."""
        for event in events:
            if event.kind not in TEACHES_NOTHING:
                self._count_one(event)

    def ranked(self, now: float) -> Ranked:
        """Rank the items, best first. now: Unix seconds. Takes 12 ms for 10,000 items; may run on a thread."""
        counted = list(self._items.values())
        popular = sorted(counted, key=lambda one: (-one.weight, one.item.item_id))
        since = now - NEW_DAYS * SECONDS_PER_DAY
        new = [one.item for one in popular if one.is_shared and one.item.first_time >= since]
        new.sort(key=lambda item: -item.first_time)  # stable: equal times keep the more popular item first
        return Ranked([one.item for one in popular], new)

    def _count_one(self, event: EventRecord) -> None:
        person = hash(event.person_key)
        pair = hash((person, event.item_id, event.kind))
        if pair in self._pairs:
            return
        self._pairs[pair] = None
        if len(self._pairs) > self._max_pairs:
            self._pairs.popitem(last=False)
        weight = 2.0 ** ((event.time - self._epoch) / SECONDS_PER_DAY / HALF_LIFE_DAYS)
        counted = self._items.get(event.item_id)
        if counted is None:
            item = PopularItem(event.item_id, short_key(event.item_id), event.time)
            self._items[event.item_id] = _Counted(item, weight, person)
            if len(self._items) > self._max_items:
                self._let_some_go()
            return
        counted.weight += weight
        counted.is_shared |= counted.first_person != person
        if event.time < counted.item.first_time:
            counted.item = counted.item._replace(first_time=event.time)

    def _let_some_go(self) -> None:
        n_leaving = max(1, self._max_items // LEAVING_SHARE)
        least = heapq.nsmallest(n_leaving, self._items.items(), key=lambda pair: pair[1].weight)
        for item_id, _ in least:
            del self._items[item_id]
