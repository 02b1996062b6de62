"""Bytes under a person's key that nobody wrote: what was there is gone, and is learnt again."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest
from redis.asyncio import Redis

from service.deadline import RequestClock
from service.errors import HistoryDoubted
from service.histories.blobs import decode_person
from service.histories.recovery import RECOVERING, SETTLE_SECONDS, Recovery
from service.histories.redis import DOUBT_AGAIN_SECONDS, KEY_PREFIX
from service.serving import ServingBundle
from tests.support.people import CLOCK_SECONDS, connected, people_with, raw, stored_person
from tests.support.redis import RedisServer
from tests.support.waiting import eventually

GARBAGE = b"\0" * 400


async def n_events(client: Redis, user_id: str) -> int:
    """In the blob that stands there. Raises BlobCorrupt."""
    blob = await client.get(KEY_PREFIX + user_id)
    assert isinstance(blob, bytes)
    return len(decode_person(blob, user_id).events)


async def stands(client: Redis, user_id: str, blob: bytes) -> bool:
    return bool(await client.get(KEY_PREFIX + user_id) == blob)


@pytest.mark.parametrize("garbage", [b"", b"x", GARBAGE])
async def test_request_counts_it_as_redis_away_and_mends_it_after_the_reply(
    serving: ServingBundle, redis_server: RedisServer, garbage: bytes
) -> None:
    async with raw(redis_server) as client, connected(redis_server) as redis:
        await client.set(KEY_PREFIX + "user-1", garbage)
        people = people_with(redis)
        found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        assert (found.layer, found.degraded) == ("bundle", "redis_unavailable")
        people.remember("user-1", found.person, np.zeros(4, np.float32), serving)
        await asyncio.gather(*people._mending.values())
        assert await n_events(client, "user-1") == 3
        again = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        assert again.degraded is None


async def test_request_alone_writes_nothing_over_it(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", GARBAGE)
        async with connected(redis_server) as redis:
            people = people_with(redis)
            found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            for mending in people._mending.values():
                mending.cancel()
            people.remember("user-1", found.person, np.zeros(4, np.float32), serving)
        assert await stands(client, "user-1", GARBAGE)


async def test_who_reads_what_took_its_place_has_been_told_that_it_may_lack_something(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    recovery = Recovery()
    async with (
        raw(redis_server) as client,
        connected(redis_server) as one,
        connected(redis_server, recovery) as other,
    ):
        await one.look()
        reader = people_with(other, recovery=recovery)
        assert (await reader.find("user-1", serving, RequestClock(CLOCK_SECONDS))).degraded is None
        await client.set(KEY_PREFIX + "user-1", GARBAGE)
        await people_with(one).learn("user-1", stored_person(serving, 1).events, serving)
        found = await reader.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        assert (found.layer, found.degraded) == ("redis", RECOVERING)


async def test_what_is_seen_while_all_learn_again_waits_until_they_are_told_once_more(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("service.histories.redis.monotonic", lambda: now)
    recovery = Recovery(lambda: now)
    async with raw(redis_server) as client, connected(redis_server, recovery) as redis:
        people = people_with(redis, recovery=recovery)
        await redis.look()
        learn = partial(people.learn, events=stored_person(serving, 1).events, serving=serving)
        for user_id in ("a", "b", "c", "d"):
            await client.set(KEY_PREFIX + user_id, GARBAGE)
        await learn("a")
        world = redis.world
        for user_id in ("b", "c", "d"):
            with pytest.raises(HistoryDoubted):
                await learn(user_id)
            assert await stands(client, user_id, GARBAGE)
        assert redis.world == await redis.look()
        now += SETTLE_SECONDS
        recovery.end()
        with pytest.raises(HistoryDoubted):  # a moment after the last time
            await learn("b")
        now += DOUBT_AGAIN_SECONDS
        await client.set(KEY_PREFIX + "d", b"other garbage, written since")
        for user_id in ("b", "c"):  # seen before all were told once more, for b
            await learn(user_id)
            assert await n_events(client, user_id) == 1
        with pytest.raises(HistoryDoubted):
            await learn("d")
        assert await redis.look() != world


async def test_what_the_line_garbled_once_is_read_again_and_nobody_learns_again(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = Recovery()
    async with raw(redis_server) as client, connected(redis_server, recovery) as redis:
        await people_with(redis).learn("a", stored_person(serving, 1).events, serving)
        read, garbled = redis.read, [GARBAGE]

        def read_garbled(user_id: str) -> asyncio.Future[bytes | None]:
            future = read(user_id)
            if not garbled:
                return future
            changed: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            changed.set_result(garbled.pop())
            return changed

        monkeypatch.setattr(redis, "read", read_garbled)
        await people_with(redis).learn("a", stored_person(serving, 2).events, serving)
        assert recovery.degraded is None
        assert await n_events(client, "a") == 2


async def test_garbage_for_everybody_is_gone_in_the_end(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.histories.redis.DOUBT_AGAIN_SECONDS", 0.0)
    async with raw(redis_server) as client, connected(redis_server) as redis:
        people = people_with(redis)
        user_ids = [f"user-{number}" for number in range(40)]
        for user_id in user_ids:
            await client.set(KEY_PREFIX + user_id, GARBAGE)

        async def are_all_well() -> bool:
            found = [await people.find(user_id, serving, RequestClock(CLOCK_SECONDS)) for user_id in user_ids]
            redis._recovery.degraded = None  # as if all had learnt again
            return all(each.degraded is None for each in found)

        await eventually(are_all_well)
