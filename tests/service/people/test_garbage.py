"""Bytes under a person's key that nobody wrote: what was there is gone, and is merged again."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from redis.asyncio import Redis

from service.bundles.serving import ServingBundle
from service.contract.errors import RedisUnavailable
from service.limits.deadline import RequestClock
from service.people.blobs import decode_person, encode_person
from service.people.recovery import RECOVERING, SETTLE_SECONDS, Recovery
from service.people.redis import DOUBT_AGAIN_SECONDS, KEY_PREFIX, WORLD_KEY
from service.people.stored import StoredPerson
from tests.support.people import CLOCK_SECONDS, connected, people_with, raw, stored_person
from tests.support.redis import RedisServer

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
        assert people._mending is not None
        await people._mending
        assert await n_events(client, "user-1") == 3
        again = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        assert again.degraded == RECOVERING  # others may not have written what they merged


async def test_request_alone_writes_nothing_over_it(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", GARBAGE)
        async with connected(redis_server) as redis:
            people = people_with(redis)
            found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            assert people._mending is not None
            people._mending.cancel()
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
        await people_with(one).merge("user-1", stored_person(serving, 1).events, serving)
        found = await reader.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        assert (found.layer, found.degraded) == ("redis", RECOVERING)


async def test_what_is_replaced_within_a_moment_is_told_together_and_before_anybody_is_done(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DOUBT_AGAIN_SECONDS < SETTLE_SECONDS
    monkeypatch.setattr("service.people.redis.DOUBT_AGAIN_SECONDS", 0.05)
    recovery = Recovery()
    async with raw(redis_server) as client, connected(redis_server, recovery) as redis:
        people = people_with(redis, recovery=recovery)
        await redis.look()
        worlds = {redis.world}
        for user_id in ("a", "b", "c"):
            await client.set(KEY_PREFIX + user_id, GARBAGE)
            await people.merge(user_id, stored_person(serving, 1).events, serving)
            assert await n_events(client, user_id) == 1
            worlds.add(await redis.look())
        assert len(worlds) == 2
        assert redis._telling_again is not None
        begun = recovery._begun_at
        await redis._telling_again
        assert await redis.look() not in worlds
        assert recovery._begun_at > begun


async def test_telling_that_fails_is_tried_again_and_is_not_left_out_at_the_end(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.people.redis.DOUBT_AGAIN_SECONDS", 0.05)
    async with raw(redis_server) as client:
        async with connected(redis_server) as redis:
            tell, n_failed = redis._tell_all, 0

            async def fail_twice() -> None:
                nonlocal n_failed
                if redis._telling_again is not None and n_failed < 2:
                    n_failed += 1
                    raise RedisUnavailable("busy")
                await tell()

            monkeypatch.setattr(redis, "_tell_all", fail_twice)
            await redis.doubt()
            world = await redis.look()
            await redis.doubt()
            telling = redis._telling_again
            assert telling is not None
            await telling
            assert (n_failed, await redis.look() == world) == (2, False)
            monkeypatch.setattr("service.people.redis.DOUBT_AGAIN_SECONDS", 1000.0)
            world = await redis.look()
            await redis.doubt()
            assert redis._telling_again is not None
        assert await client.get(WORLD_KEY) not in (None, world.partition(":")[2].encode())


async def test_many_that_doubt_at_once_tell_once(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_told = 0
    async with raw(redis_server) as client, connected(redis_server) as redis:
        tell = redis._tell_all

        async def count() -> None:
            nonlocal n_told
            n_told += 1
            await tell()

        monkeypatch.setattr(redis, "_tell_all", count)
        people = people_with(redis)
        user_ids = [f"user-{number}" for number in range(40)]
        for user_id in user_ids:
            await client.set(KEY_PREFIX + user_id, GARBAGE)
        merging = (people.merge(each, stored_person(serving, 1).events, serving) for each in user_ids)
        await asyncio.gather(*merging)
        assert n_told == 1


async def test_line_that_always_garbles_counts_as_redis_away(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw(redis_server) as client, connected(redis_server) as redis:
        people = people_with(redis)
        await people.merge("a", stored_person(serving, 1).events, serving)
        blob = encode_person(StoredPerson(stored_person(serving, 1).events, tag=serving.tag), "a")

        async def garbled(user_id: str) -> bytes:
            return GARBAGE

        monkeypatch.setattr(redis, "read", garbled)
        with pytest.raises(RedisUnavailable, match="not what stands there"):
            await people.merge("a", stored_person(serving, 2).events, serving)
        assert await stands(client, "a", blob)
        known = people._memory.peek("a")
        assert known is not None
        assert len(known.events) == 2
        found = await people_with(redis).find("a", serving, RequestClock(CLOCK_SECONDS))
        assert found.degraded == "redis_unavailable"


async def test_what_the_line_garbled_once_is_read_again_and_nobody_merges_again(
    serving: ServingBundle, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = Recovery()
    async with raw(redis_server) as client, connected(redis_server, recovery) as redis:
        await people_with(redis).merge("a", stored_person(serving, 1).events, serving)
        read, garbled = redis.read, [GARBAGE]

        def read_garbled(user_id: str) -> asyncio.Future[bytes | None]:
            future = read(user_id)
            if not garbled:
                return future
            changed: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            changed.set_result(garbled.pop())
            return changed

        monkeypatch.setattr(redis, "read", read_garbled)
        await people_with(redis).merge("a", stored_person(serving, 2).events, serving)
        assert recovery.degraded is None
        assert await n_events(client, "a") == 2
