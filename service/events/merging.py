"""Merges events into people's histories, so that cached vectors and the very next answers know of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from models.named_kinds import kind_code
from models.vocabulary import id_key
from service.bundles.holder import BundleHolder
from service.contract.errors import RedisUnavailable
from service.events.set_aside import SetAside
from service.log.records import EventRecord
from service.people.lookup import People
from service.people.stored import Occurrence, StoredEvents
from service.telemetry.metrics import Metrics

PEOPLE_AT_ONCE = 16
"""How many people share one trip to Redis; requests get their turn in between."""

SLICE = 200
"""How many events are counted before requests get a turn: this takes about 1 ms if many people are unknown."""


class Merger:
    """Merges each person in one task at a time: events that arrive meanwhile wait for their turn. A person who cannot
    be merged is set aside, so that nobody else has to wait.
    """

    def __init__(self, people: People, bundles: BundleHolder, aside: SetAside, metrics: Metrics) -> None:
        self._people = people
        self._bundles = bundles
        self._aside = aside
        self._metrics = metrics
        self._turns: dict[str, asyncio.Task[None]] = {}
        self.n_people_waiting = 0

    async def merge(self, events: Sequence[EventRecord], *, stops_early: bool = False) -> bool:
        """Merge events into histories, even before the first bundle. Merging again adds nothing.

        Returns False if somebody was set aside. stops_early: stop when Redis is away. Raises RedisUnavailable if only
        this process knows of the events now; with `stops_early` it may not know of all of them.
        """
        people = list(by_person(events).items())
        liked_from = self._bundles.context().liked_from
        self.n_people_waiting += len(people)
        try:
            outcomes: list[bool | BaseException] = []
            for start in range(0, len(people), PEOPLE_AT_ONCE):
                turns = (
                    self._in_turn(key, stored_events(own, liked_from), visits_of(own))
                    for key, own in people[start : start + PEOPLE_AT_ONCE]
                )
                outcomes += await asyncio.gather(*turns, return_exceptions=True)
                if stops_early and any(isinstance(each, BaseException) for each in outcomes):
                    break
        finally:
            self.n_people_waiting -= len(people)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return all(outcomes)

    async def try_again(self) -> None:
        """Merge people who were set aside and are due for another attempt. Raises RedisUnavailable."""
        for key, events in self._aside.due():
            if key in self._aside and await self._in_turn(key, events, frozenset()):
                # The value that blocked the merge may have replaced earlier events: replicas must merge again.
                await self._people.doubt()
                self._aside.done(key)

    async def wait_for(self, key: str, seconds: float) -> None:
        """Wait until no merge of this person or visit is under way, but no longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (turn := self._turns.get(key)) is not None:
                    await asyncio.wait([turn])

    async def count(self, events: Sequence[EventRecord]) -> None:
        """Count accepted events, and the people and items among them that the bundle does not know."""
        for event in events:
            self._metrics.event_accepted(event.kind)
        if not self._bundles.is_ready:
            return
        serving = self._bundles.serving()
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

    async def _in_turn(self, key: str, events: StoredEvents, session_ids: frozenset[str]) -> bool:
        """Merge one person; return False if they were set aside instead."""
        before = self._turns.get(key)
        task = asyncio.create_task(self._merge_one(key, events, session_ids, before))
        self._turns[key] = task
        try:
            await task
        except RedisUnavailable:
            raise
        except Exception as error:  # whatever it is, it concerns this person alone
            self._aside.add(key, events, error)
            return False
        finally:
            if self._turns.get(key) is task:
                del self._turns[key]
        return True

    async def _merge_one(
        self,
        key: str,
        events: StoredEvents,
        session_ids: frozenset[str],
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._people.merge(key, events, self._bundles.context())
        if session_ids:
            await self._people.link(key, session_ids)


def by_person(events: Sequence[EventRecord]) -> dict[str, list[EventRecord]]:
    """Group events by person, or by visit if no person is named; impressions are left out."""
    people: dict[str, list[EventRecord]] = {}
    for event in events:
        if event.kind != "impression":
            people.setdefault(event.person_key, []).append(event)
    return people


def visits_of(events: Iterable[EventRecord]) -> frozenset[str]:
    """Collect the visits that a person's events name: they are forgotten together with the person."""
    return frozenset(
        event.session_id for event in events if event.user_id is not None and event.session_id is not None
    )


def stored_events(events: Iterable[EventRecord], liked_from: float | None) -> StoredEvents:
    """Convert one person's events, in the order they were accepted, to the form that histories hold.

    liked_from: the lowest rating that speaks for an item, None if all do. Histories hold no ratings, so this is
    decided when an event is merged, by the bundle in service then.
    """
    return StoredEvents.of(
        Occurrence(
            id_key(event.item_id),
            kind_code(event.kind, event.value, liked_from),
            event.time,
            event.received_ms,
        )
        for event in events
    )
