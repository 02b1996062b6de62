"""Events into people: what a history, a cached vector and the very next answer are to know of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import EventKind
from models.vocabulary import id_key
from service.bundles import BundleHolder
from service.errors import NotReady
from service.histories.lookup import People, session_key
from service.histories.stored import StoredEvents, short_keys
from service.log.records import EventRecord
from service.metrics import Metrics

MAX_PEOPLE_AT_ONCE = 64

_KINDS = {kind.name.lower(): kind for kind in EventKind}


class Lesson(NamedTuple):
    """What one person did. removed_item_keys: (n_items,) uint64 of what they took out of the cart."""

    events: StoredEvents
    removed_item_keys: npt.NDArray[np.uint64]


class Learner:
    """Each person is learnt by one task at a time: what comes in the meantime goes with its next round."""

    def __init__(self, people: People, bundles: BundleHolder, metrics: Metrics) -> None:
        self._people = people
        self._bundles = bundles
        self._metrics = metrics
        self._places = asyncio.Semaphore(MAX_PEOPLE_AT_ONCE)
        self._turns: dict[str, asyncio.Task[None]] = {}

    @property
    def n_people_waiting(self) -> int:
        """People whose events are being learnt, or wait for it."""
        return len(self._turns)

    async def learn(self, events: Sequence[EventRecord]) -> None:
        """Learn what people did. Again it adds nothing.

        Raises RedisUnavailable where only this process knows it now, NotReady where there is no bundle yet.
        """
        self._bundles.serving()
        lessons = lessons_of(events)
        outcomes = await asyncio.gather(
            *(self._in_turn(key, lesson) for key, lesson in lessons.items()), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def count(self, events: Sequence[EventRecord]) -> None:
        """Count what was accepted, and whom and what of it the bundle does not know."""
        for event in events:
            self._metrics.event_accepted(event.kind)
        try:
            serving = self._bundles.serving()
        except NotReady:
            return
        n_unknown_items = sum(serving.find_item(event.item_id) is None for event in events)
        user_ids = {event.user_id for event in events if event.user_id is not None}
        n_unknown_people = sum(serving.people.find(user_id) is None for user_id in user_ids)
        self._metrics.events_unknown(n_unknown_items, n_unknown_people)

    async def _in_turn(self, key: str, lesson: Lesson) -> None:
        before = self._turns.get(key)
        task = asyncio.create_task(self._learn_one(key, lesson, before))
        self._turns[key] = task
        try:
            await task
        finally:
            if self._turns.get(key) is task:
                del self._turns[key]

    async def _learn_one(self, key: str, lesson: Lesson, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._places:
            await self._people.learn(key, *lesson, self._bundles.serving())


def lessons_of(events: Sequence[EventRecord]) -> dict[str, Lesson]:
    """By person, else by visit, what is to be learnt; impressions are not."""
    by_person: dict[str, list[EventRecord]] = {}
    for event in events:
        if event.kind in _KINDS or event.kind == "removal":
            by_person.setdefault(person_key(event), []).append(event)
    return {key: _lesson(own) for key, own in by_person.items()}


def person_key(event: EventRecord) -> str:
    """Under which an event's person is held; validated events have a person or a visit."""
    if event.user_id is not None:
        return event.user_id
    assert event.session_id is not None
    return session_key(event.session_id)


def _lesson(events: list[EventRecord]) -> Lesson:
    """One person's events in the order they happened: a removal undoes what was put into the cart before it."""
    kept: list[tuple[int, int, int]] = []
    removed: list[int] = []
    for event in sorted(events, key=lambda event: event.time):
        item_key = id_key(event.item_id)
        if event.kind == "removal":
            kept = [one for one in kept if (one[0], one[2]) != (item_key, EventKind.CART)]
            removed.append(item_key)
        else:
            kept.append((item_key, event.time, _KINDS[event.kind]))
    learnt = StoredEvents(
        short_keys(np.array([item_key for item_key, _, _ in kept], np.uint64)),
        np.array([moment for _, moment, _ in kept], np.uint32),
        np.array([kind for _, _, kind in kept], np.uint8),
    )
    return Lesson(StoredEvents.empty().merged(learnt), np.array(removed, np.uint64))
