"""Answers without a model: popular and new items from the shop's own events, in tier `no_model`.

Only the id of an item is known, so answers have no titles and no item passes a filter. The person's own events decide
what `known_items` leaves out, as usual; they do not change the order.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence, Set
from itertools import count, islice
from time import time
from typing import ClassVar, Final, NamedTuple

import msgspec

from models.history import EventKind
from models.named_kinds import KIND_CODES
from service.answers.known_items import field_of, known_items_of
from service.answers.no_model.live_items import LiveItems
from service.answers.no_model.popularity import PopularItem, Ranked
from service.answers.recommender import check_session_times, person_key
from service.answers.shortfall import shortfall_words
from service.bundles.context import NO_BUNDLE
from service.bundles.holder import BundleHolder
from service.contract.schemas import Filter, KnownItems, RecommendRequest, SessionEvent, SimilarRequest, Tier
from service.limits.deadline import RequestClock
from service.people.lookup import People
from service.people.memory import KnownPerson
from service.people.stored import short_key

NEW_EVERY = 5
"""One place in this many goes to a new item: a ranking by popularity alone would never give it a first chance."""


class ModellessAnswer(msgspec.Struct, gc=False):
    """item_ids: best first. degraded: why there is no model. shortfall: why there are fewer items than requested;
    None if there are enough. clock: the clock of the request.
    """

    tier: ClassVar[Tier] = "no_model"

    item_ids: list[str]
    degraded: str
    shortfall: str | None
    request_id: str
    clock: RequestClock


class ModellessAnswers:
    """Answers requests while no bundle is in service."""

    def __init__(self, bundles: BundleHolder, people: People, items: LiveItems) -> None:
        self._bundles = bundles
        self._people = people
        self._items = items

    async def recommend(
        self, request: RecommendRequest, clock: RequestClock, request_id: str
    ) -> ModellessAnswer:
        """Recommend items to a person. Raises RequestInvalid for a session event in the future."""
        check_session_times(request.session, int(time()))
        found = await self._people.find(person_key(request), NO_BUNDLE, clock)
        clock.mark("history")
        wanted = known_items_of(request, "rank")
        masks = _Masks(set(request.exclude_items))
        if wanted != "rank":
            own = _own_keys(found.person, request.session, _KINDS_OF[wanted])
            masks = masks._replace(only=own) if wanted == "only" else masks._replace(left_out=own)
        causes = ["exclude_items"] if request.exclude_items else []
        if masks.left_out:
            causes.append(field_of(request))
        item_ids, shortfall = self._choose(request.limit, request.filter, masks, causes)
        return ModellessAnswer(item_ids, self._bundles.absence, shortfall, request_id, clock)

    def similar(self, request: SimilarRequest, clock: RequestClock, request_id: str) -> ModellessAnswer:
        """Recommend the same items to everybody who looks at this item."""
        masks = _Masks({request.item_id, *request.exclude_items})
        causes = ["exclude_items", "the item itself"] if request.exclude_items else ["the item itself"]
        item_ids, shortfall = self._choose(request.limit, request.filter, masks, causes)
        return ModellessAnswer(item_ids, self._bundles.absence, shortfall, request_id, clock)

    def _choose(
        self, limit: int, wanted: Filter | None, masks: _Masks, causes: Sequence[str]
    ) -> tuple[list[str], str | None]:
        """Return items and the shortfall. causes: what excludes items, in the words of the request."""
        ranked = self._items.ranked
        if wanted is not None and wanted != Filter():
            reason = "nothing is known of categories and prices without a model, so no item passes a filter"
            return [], f"0 of {limit}: {reason}"
        item_ids = list(islice(_mixed(ranked, masks), limit))
        n_known = len(ranked.popular)
        return item_ids, _shortfall(len(item_ids), limit, n_known, causes, masks.only)


class _Masks(NamedTuple):
    """excluded: ids that must not be answered. left_out: keys of the person's own items that must not. only: keys of
    those that alone may; None for all.
    """

    excluded: Container[str]
    left_out: Set[int] = frozenset()
    only: Set[int] | None = None

    def allow(self, item: PopularItem) -> bool:
        """Whether an item may be answered."""
        if item.item_id in self.excluded or item.key in self.left_out:
            return False
        return self.only is None or item.key in self.only


_KINDS_OF: Final[dict[KnownItems, tuple[int, ...]]] = {
    "leave_out_touched": (),
    "leave_out_bought": (NO_BUNDLE.target, EventKind.DISLIKE),
    "only": (NO_BUNDLE.target,),
}


def _own_keys(person: KnownPerson, session: Sequence[SessionEvent], kinds: tuple[int, ...]) -> set[int]:
    """Return the keys of items with events of these kinds, or of any if none is given, before and in this visit."""
    keys = set(person.events.standing_keys(*kinds).tolist())
    keys.update(short_key(event.item_id) for event in session if not kinds or KIND_CODES[event.kind] in kinds)
    return keys


def _mixed(ranked: Ranked, masks: _Masks) -> Iterator[str]:
    """Yield the allowed items, each once; every NEW_EVERYth is a new one while there are any."""

    def allowed(items: Sequence[PopularItem]) -> Iterator[str]:
        for item in items:
            if item.item_id not in given and masks.allow(item):
                yield item.item_id

    given: set[str] = set()
    popular, new = allowed(ranked.popular), allowed(ranked.new)
    for place in count(1):
        item_id = next(new, None) if place % NEW_EVERY == 0 else None
        item_id = item_id or next(popular, None)
        if item_id is None:
            return
        given.add(item_id)
        yield item_id


def _shortfall(
    n_items: int, limit: int, n_known: int, causes: Sequence[str], only: Set[int] | None
) -> str | None:
    if n_items >= limit:
        return None
    if not n_known:
        return f"{n_items} of {limit}: no event has named an item yet; send what people do to POST /events"
    if only is not None:
        if not only:
            return f"0 of {limit}: known_items is only, and no item has a purchase event of this person"
        return shortfall_words(
            n_items, limit, f"{len(only):,} items that have a purchase event of this person", causes
        )
    among = f"{n_known:,} items that events have named so far"
    return shortfall_words(n_items, limit, among, causes)
