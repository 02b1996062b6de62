"""What people did, merged here and by every replica; and people who are forgotten."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from models.history import EventKind
from models.removals import REMOVAL
from service.bundles.serving import ServingBundle
from service.contract.errors import RedisUnavailable
from service.limits.deadline import RequestClock
from service.people.blobs import decode_person, encode_person
from service.people.redis import KEY_PREFIX
from tests.support.people import (
    CLOCK_SECONDS,
    connected,
    of_kind,
    people_with,
    raw,
    stored_person,
)
from tests.support.redis import RedisServer


async def test_what_redis_holds_already_is_not_written_again_and_what_it_lacks_is(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        people = people_with(redis)
        events = stored_person(serving, 2, 3).events
        await people.merge("user-1", events, serving)
        for who in (people, people_with(redis)):
            await client.expire(KEY_PREFIX + "user-1", 50)
            await who.merge("user-1", events, serving)
            assert await client.ttl(KEY_PREFIX + "user-1") <= 50  # a write would begin a hundred anew
        await client.delete(KEY_PREFIX + "user-1")
        await people.merge("user-1", events, serving)
        assert await client.exists(KEY_PREFIX + "user-1")
        less = encode_person(stored_person(serving, 2), "user-1")
        await client.set(KEY_PREFIX + "user-1", less)
        await people.merge("user-1", events, serving)
        blob, known = await client.get(KEY_PREFIX + "user-1"), people._memory.peek("user-1")
        assert isinstance(blob, bytes)
        assert known is not None
        assert decode_person(blob, "user-1").events == known.events


async def test_what_a_person_did_is_merged_by_every_replica(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as one, connected(redis_server) as other:
        here, there = people_with(one), people_with(other)
        for people in (here, there):
            await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        merged: list[str] = []
        here.on_merged = lambda key, person, bundle: merged.append(key)
        await here.merge("user-1", stored_person(serving, 2, 3).events, serving)
        await other.read("")
        for people in (here, there):
            person = (await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))).person
            assert person.history.item_indices.tolist() == [1, 5, 9, 2, 3]
            assert person.vector is None
        again = (await people_with(one).find("user-1", serving, RequestClock(CLOCK_SECONDS))).person
        await here.merge("user-1", stored_person(serving, 2, 3).events, serving)
        assert (await here.find("user-1", serving, RequestClock(CLOCK_SECONDS))).person.blob == again.blob
    assert merged == ["user-1"]  # again there was nothing to merge


async def test_two_who_merge_of_the_same_person_at_once_both_count(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as one, connected(redis_server) as other:
        here, there = people_with(one), people_with(other)
        await asyncio.gather(
            here.merge("new", stored_person(serving, 2).events, serving),
            there.merge("new", stored_person(serving, 3).events, serving),
        )
        found = await people_with(one).find("new", serving, RequestClock(CLOCK_SECONDS))
    assert sorted(found.person.history.item_indices.tolist()) == [2, 3]


async def test_item_out_of_the_cart_is_out_of_the_history_but_a_purchase_stays(
    serving: ServingBundle,
) -> None:
    people = people_with(None)
    for kind, item, moment in ((EventKind.CART, 2, 1_800_000_000), (EventKind.PURCHASE, 3, 1_800_000_001)):
        await people.merge("new", of_kind(serving, kind, [item], moment), serving)
    await people.merge("new", of_kind(serving, REMOVAL, [2, 3], 1_799_999_999), serving)
    found = await people.find("new", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [2, 3]  # it was put there after that
    await people.merge("new", of_kind(serving, REMOVAL, [2, 3], 1_800_000_001), serving)
    found = await people.find("new", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [3]
    assert found.person.touched.tolist() == [3]


async def test_what_is_merged_while_redis_is_away_counts_here_and_is_said(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with connected(redis_server) as redis:
        people = people_with(redis)
        with pytest.raises(RedisUnavailable):
            await people.merge("user-1", stored_person(serving, 2).events, serving)
        found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [1, 5, 9, 2]
    assert found.degraded == "redis_unavailable"


async def test_erased_person_is_nobody_on_every_replica_and_in_every_bundle(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with (
        connected(redis_server) as one,
        connected(redis_server) as other,
        connected(redis_server) as third,
    ):
        here, there, new = people_with(one), people_with(other), people_with(third)
        for people in (here, there):
            await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        await here.erase("user-1")
        await other.read("")
        for people in (here, there, new):
            found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            assert len(found.person.events) == 0
            assert found.person.query is not None
        await there.merge("user-1", stored_person(serving, 2).events, serving)
        await one.read("")
        for people in (here, there, new):
            found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            assert found.person.history.item_indices.tolist() == [2]
        here.remember("user-1", found.person, np.zeros(4, np.float32), serving)
        blob = await one.read("user-1")
    assert blob is not None
    assert decode_person(blob, "user-1").is_erased


async def test_erased_person_is_nobody_without_redis_too(serving: ServingBundle) -> None:
    people = people_with(None)
    await people.erase("user-1")
    found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert len(found.person.events) == 0
    await people.merge("user-1", stored_person(serving, 2).events, serving)
    found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [2]
    assert found.layer == "memory"
