"""People found through a real Redis, for tests of what is known of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from redis.asyncio import Redis

from models.history import Event, EventKind, History
from service.bundles.serving import ServingBundle
from service.people.lookup import People
from service.people.memory import PeopleInMemory
from service.people.recovery import Recovery
from service.people.redis import RedisPeople
from service.people.stored import KEY_BITS, Occurrence, StoredEvents, StoredPerson
from service.redis.circuit import Circuit
from service.telemetry.metrics import Metrics
from tests.support.redis import RedisServer

CLOCK_SECONDS = 10.0


def views(*events: tuple[int, int]) -> StoredEvents:
    """Views of items by key and second. Keys are small numbers here, in the bits that are kept."""
    return StoredEvents.of(Occurrence(key << 64 - KEY_BITS, EventKind.VIEW, time, 0) for key, time in events)


def keys_of(events: StoredEvents) -> list[int]:
    """The small numbers of `views`."""
    return [int(key) >> 64 - KEY_BITS for key in events.keys]


def of_kind(serving: ServingBundle, kind: int, item_indices: list[int], moment: int) -> StoredEvents:
    """What somebody did with these items at this moment, Unix seconds."""
    return StoredEvents.of(
        Occurrence(int(serving.item_keys[index]), kind, moment, 1000 * moment) for index in item_indices
    )


@asynccontextmanager
async def connected(server: RedisServer, recovery: Recovery | None = None) -> AsyncIterator[RedisPeople]:
    redis = RedisPeople(
        server.url, Circuit(5, 1.0), connect_seconds=5, read_seconds=5, ttl_seconds=100, recovery=recovery
    )
    try:
        yield redis
    finally:
        await redis.close()


@asynccontextmanager
async def raw(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, protocol=2) as client:  # also one that is old
        yield client


def stored_person(serving: ServingBundle, *item_indices: int, tag: int | None = None) -> StoredPerson:
    """A person with views of these items, latest last and later than anything in the bundle."""
    history = History.from_events(
        Event(index, 1_800_000_000 + step) for step, index in enumerate(item_indices)
    )
    vector = np.full(serving.student.n_factors, 0.5, np.float16)
    return StoredPerson(
        StoredEvents.from_history(history, serving.item_keys), vector, serving.tag if tag is None else tag
    )


def people_with(
    redis: RedisPeople | None, max_age_seconds: float = 1000.0, recovery: Recovery | None = None
) -> People:
    return People(PeopleInMemory(2**20), redis, Metrics(), max_age_seconds=max_age_seconds, recovery=recovery)


async def has_changed(redis: RedisPeople, number: int) -> bool:
    """Whether the watch is another one than this."""
    return redis.watch.number != number
