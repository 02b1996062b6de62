"""Events into people: what a history, a cached vector and the very next answer are to know of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from models.history import EventKind
from models.removals import REMOVAL
from models.vocabulary import id_key
from service.bundles import BundleHolder
from service.errors import NotReady
from service.histories.lookup import People, session_key
from service.histories.stored import Occurrence, StoredEvents
from service.log.records import EventRecord
from service.metrics import Metrics

MAX_PEOPLE_AT_ONCE = 16
"""Of one batch; requests get their turn in between."""

SLICE = 200
"""Events that are counted before others get a turn: about a millisecond where many people are unknown."""

_KINDS = {**{kind.name.lower(): int(kind) for kind in EventKind}, "removal": REMOVAL}


class Learner:
    """Each person is learnt by one task at a time: what comes in the meantime waits for its turn."""

    def __init__(self, people: People, bundles: BundleHolder, metrics: Metrics) -> None:
        self._people = people
        self._bundles = bundles
        self._metrics = metrics
        self._turns: dict[str, asyncio.Task[None]] = {}
        self.n_people_waiting = 0

    async def learn(self, events: Sequence[EventRecord]) -> None:
        """Learn what people did. Again it adds nothing.

        Raises RedisUnavailable where only this process knows it now, NotReady where there is no bundle yet.
        """
        self._bundles.serving()
        people = list(by_person(events).items())
        self.n_people_waiting += len(people)
        try:
            outcomes: list[BaseException | None] = []
            for start in range(0, len(people), MAX_PEOPLE_AT_ONCE):
                some = people[start : start + MAX_PEOPLE_AT_ONCE]
                turns = (self._in_turn(key, own) for key, own in some)
                outcomes += await asyncio.gather(*turns, return_exceptions=True)
        finally:
            self.n_people_waiting -= len(people)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def count(self, events: Sequence[EventRecord]) -> None:
        """Count what was accepted, and whom and what of it the bundle does not know."""
        for event in events:
            self._metrics.event_accepted(event.kind)
        try:
            serving = self._bundles.serving()
        except NotReady:
            return
        user_ids: set[str] = set()
        for number, event in enumerate(events):
            if number and not number % SLICE:
                await asyncio.sleep(0)
            if serving.find_item(event.item_id) is None:
                self._metrics.event_unknown("item")
            if event.user_id is not None and event.user_id not in user_ids:
                user_ids.add(event.user_id)
                if serving.people.find(event.user_id) is None:
                    self._metrics.event_unknown("person")

    async def _in_turn(self, key: str, events: list[EventRecord]) -> None:
        before = self._turns.get(key)
        task = asyncio.create_task(self._learn_one(key, events, before))
        self._turns[key] = task
        try:
            await task
        finally:
            if self._turns.get(key) is task:
                del self._turns[key]

    async def _learn_one(
        self, key: str, events: list[EventRecord], before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._people.learn(key, stored_events(events), self._bundles.serving())


def by_person(events: Sequence[EventRecord]) -> dict[str, list[EventRecord]]:
    """What each person, or each visit of nobody in particular, did; what was only shown to them is left out."""
    people: dict[str, list[EventRecord]] = {}
    for event in events:
        if event.kind != "impression":
            people.setdefault(person_key(event), []).append(event)
    return people


def person_key(event: EventRecord) -> str:
    """Under which an event's person is held; validated events have a person or a visit."""
    if event.user_id is not None:
        return event.user_id
    assert event.session_id is not None
    return session_key(event.session_id)


def stored_events(events: Iterable[EventRecord]) -> StoredEvents:
    """One person's events, in the order they were accepted, as histories hold them."""
    return StoredEvents.of(
        Occurrence(id_key(event.item_id), _KINDS[event.kind], event.time, event.received_ms)
        for event in events
    )
