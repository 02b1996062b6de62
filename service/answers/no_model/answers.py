"""Answers without a model: popular and new items from the shop's own events, in tier `no_model`.

Only the id of an item is known, so answers have no titles and no item passes a filter. The person's own events count
as usual: items that they have seen are left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import count, islice
from time import time
from typing import ClassVar

import msgspec

from service.answers.no_model.live_items import LiveItems
from service.answers.no_model.popularity import PopularItem, Ranked
from service.answers.recommender import check_session_times, person_key
from service.answers.shortfall import shortfall_words
from service.bundles.context import NO_BUNDLE
from service.bundles.holder import BundleHolder
from service.contract.schemas import Filter, RecommendRequest, SimilarRequest, Tier
from service.limits.deadline import RequestClock
from service.people.lookup import People

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
        excluded, keys = set(request.exclude_items), set[int]()
        if request.exclude_seen:
            excluded.update(event.item_id for event in request.session)
            keys.update(found.person.events.standing_keys().tolist())
        causes = ["exclude_items"] if request.exclude_items else []
        if keys or (request.exclude_seen and request.session):
            causes.append("exclude_seen")
        item_ids, shortfall = self._choose(request.limit, request.filter, excluded, keys, causes)
        return ModellessAnswer(item_ids, self._bundles.absence, shortfall, request_id, clock)

    def similar(self, request: SimilarRequest, clock: RequestClock, request_id: str) -> ModellessAnswer:
        """Recommend the same items to everybody who looks at this item."""
        excluded = {request.item_id, *request.exclude_items}
        causes = ["exclude_items", "the item itself"] if request.exclude_items else ["the item itself"]
        item_ids, shortfall = self._choose(request.limit, request.filter, excluded, set(), causes)
        return ModellessAnswer(item_ids, self._bundles.absence, shortfall, request_id, clock)

    def _choose(
        self,
        limit: int,
        wanted: Filter | None,
        excluded: Container[str],
        keys: Container[int],
        causes: Sequence[str],
    ) -> tuple[list[str], str | None]:
        """Return items and the shortfall. causes: what excludes items, in the words of the request."""
        ranked = self._items.ranked
        if wanted is not None and wanted != Filter():
            reason = "nothing is known of categories and prices without a model, so no item passes a filter"
            return [], f"0 of {limit}: {reason}"
        item_ids = list(islice(_mixed(ranked, excluded, keys), limit))
        return item_ids, _shortfall(len(item_ids), limit, len(ranked.popular), causes)


def _mixed(ranked: Ranked, excluded: Container[str], keys: Container[int]) -> Iterator[str]:
    """Yield the allowed items, each once; every NEW_EVERYth is a new one while there are any."""

    def allowed(items: Sequence[PopularItem]) -> Iterator[str]:
        for item in items:
            if item.item_id not in excluded and item.key not in keys and item.item_id not in given:
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


def _shortfall(n_items: int, limit: int, n_known: int, causes: Sequence[str]) -> str | None:
    if n_items >= limit:
        return None
    if not n_known:
        return f"{n_items} of {limit}: no event has named an item yet; send what people do to POST /events"
    among = f"{n_known:,} items that events have named so far"
    return shortfall_words(n_items, limit, among, causes)
