"""Finding a person in memory, a real Redis and the bundle, and what is written back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from service.bundles.serving import ServingBundle
from service.limits.deadline import RequestClock
from service.people.blobs import decode_person, encode_person
from service.people.lookup import People
from service.people.memory import PeopleInMemory
from service.people.recovery import RECOVERING, Recovery
from service.people.redis import KEY_PREFIX, BlobWrite, RedisPeople
from service.people.stored import StoredPerson
from service.people.watch import NOT_WATCHED
from service.redis.circuit import Circuit
from service.telemetry.metrics import Metrics
from tests.support.people import (
    CLOCK_SECONDS,
    connected,
    has_changed,
    people_with,
    raw,
    stored_person,
)
from tests.support.redis import RedisServer
from tests.support.service import ids_of, running
from tests.support.waiting import eventually


async def test_person_of_the_bundle_is_found_without_redis(serving: ServingBundle) -> None:
    people = people_with(None)
    first = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    again = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert (first.layer, again.layer) == ("bundle", "memory")
    assert first.person.history.item_indices.tolist() == [1, 5, 9]
    assert (first.person.vector, first.degraded) == (None, None)


async def test_person_nobody_knows_has_the_strangers_vector(serving: ServingBundle) -> None:
    found = await people_with(None).find("nobody", serving, RequestClock(CLOCK_SECONDS))
    assert found.layer == "none"
    assert found.person.vector is not None
    assert np.array_equal(found.person.vector, serving.stranger[0])


async def test_stored_person_with_a_current_vector_is_taken_as_is(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2, 3), "user-1"))
        found = await people_with(redis).find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.layer == "redis"
    assert found.person.history.item_indices.tolist() == [2, 3]
    assert found.person.vector is not None
    assert found.person.vector.tolist() == [0.5] * 4


async def test_person_stored_under_another_bundle_is_merged_with_the_cold_history(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2, 5, tag=99), "user-1"))
        found = await people_with(redis).find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [1, 5, 9, 2, 5]
    assert found.person.touched.tolist() == [1, 2, 5, 9]
    assert found.person.settled is found.person.touched
    assert found.person.vector is None


async def test_new_vector_is_written_back_and_found_by_another_replica(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    vector = np.arange(4, dtype=np.float32)
    async with connected(redis_server) as redis:
        here = people_with(redis)
        found = await here.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        here.remember("user-1", found.person, vector, serving)
    async with connected(redis_server) as redis:
        there = await people_with(redis).find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert there.layer == "redis"
    assert there.person.vector is not None
    assert there.person.vector.tolist() == vector.tolist()
    assert there.person.history.item_indices.tolist() == [1, 5, 9]


async def test_late_write_back_leaves_a_newer_blob_alone(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    old, new, late = (
        encode_person(stored_person(serving, *events), "user-1") for events in ((1,), (1, 2), (3,))
    )
    async with connected(redis_server) as redis, raw(redis_server) as client:
        for replaced, blob, is_stored in (
            (b"", old, True),
            (old, new, True),
            (old, late, False),
            (b"", late, False),
        ):
            assert await redis.write(BlobWrite("user-1", replaced, blob)) is is_stored
        assert await client.get(KEY_PREFIX + "user-1") == new
        assert 0 < await client.ttl(KEY_PREFIX + "user-1") <= 100


async def test_person_in_memory_may_be_of_before_while_redis_recovers(serving: ServingBundle) -> None:
    recovery = Recovery()
    people = People(PeopleInMemory(2**20), None, Metrics(), max_age_seconds=1000.0, recovery=recovery)
    await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    recovery.begin()
    found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert (found.layer, found.degraded) == ("memory", RECOVERING)


async def test_reads_that_wait_go_in_one_round_trip(redis_server: RedisServer) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await redis.read("connects")
        before = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
        await asyncio.gather(*(redis.read(f"user-{person}") for person in range(50)))
        after = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
    assert after - before == 1


async def test_each_reader_gets_their_own_blob(redis_server: RedisServer) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        for person in range(20):
            await client.set(f"{KEY_PREFIX}user-{person}", f"blob {person}")
        blobs = await asyncio.gather(*(redis.read(f"user-{person}") for person in range(25)))
    assert blobs == [f"blob {person}".encode() if person < 20 else None for person in range(25)]


async def test_person_in_memory_is_read_again_after_a_while(
    serving: ServingBundle, old_redis_server: RedisServer
) -> None:
    async with connected(old_redis_server) as redis, raw(old_redis_server) as client:
        people = people_with(redis, max_age_seconds=-1.0)  # always too old
        await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2), "user-1"))
        found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.layer == "redis"
    assert found.person.history.item_indices.tolist() == [2]


async def test_what_was_made_of_a_person_is_kept_while_nobody_writes_to_redis(
    serving: ServingBundle, old_redis_server: RedisServer
) -> None:
    async with connected(old_redis_server) as redis, raw(old_redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2, 3), "user-1"))
        people = people_with(redis, max_age_seconds=-1.0)  # always too old
        first = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        again = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert again.person is first.person
    assert again.layer == "redis"


async def test_person_is_not_read_again_before_redis_tells_of_a_change(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        people = people_with(redis, max_age_seconds=-1.0)
        await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        for _ in range(3):
            assert (await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))).layer == "memory"
        await client.set(KEY_PREFIX + "user-2", encode_person(stored_person(serving, 3), "user-2"))
        await redis.read("")  # what the connection was told comes before this reply
        assert (await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))).layer == "memory"
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2), "user-1"))
        await redis.read("")
        found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.layer == "redis"
    assert found.person.history.item_indices.tolist() == [2]


async def test_nobody_in_memory_is_believed_once_redis_was_emptied_or_the_connection_broke(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2), "user-1"))
        people = people_with(redis)
        for command in ("FLUSHALL", "CLIENT KILL TYPE normal SKIPME yes"):
            await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            assert (await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))).layer == "memory"
            before = redis.watch.number
            await client.execute_command(command)  # type: ignore[no-untyped-call]
            await eventually(partial(has_changed, redis, before))
            n_reads = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
            await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
            assert (await client.info("commandstats"))["cmdstat_mget"]["calls"] > n_reads


async def test_read_that_a_write_overtook_is_not_believed_for_long(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis:
        people = people_with(redis)
        await redis.read("")
        reading = asyncio.create_task(people.find("user-1", serving, RequestClock(CLOCK_SECONDS)))
        await asyncio.sleep(0)
        redis.watch.changed(["user-1"])
        await reading
        assert (
            await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        ).person.watch == redis.watch.number
        reading = asyncio.create_task(people.find("user-3", serving, RequestClock(CLOCK_SECONDS)))
        await asyncio.sleep(0)
        redis.watch.changed(["user-3"])
        assert (await reading).person.watch == NOT_WATCHED


async def test_quiet_connection_is_asked_for_a_sign_of_life(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.people.redis.HEARTBEAT_SECONDS", 0.01)
    redis = RedisPeople(
        redis_server.url, Circuit(5, 1.0), connect_seconds=5, read_seconds=0.05, ttl_seconds=100
    )
    await redis.read("user-1")
    assert redis.watch.number
    redis_server.freeze()
    try:
        await eventually(partial(has_changed, redis, redis.watch.number))
    finally:
        redis_server.thaw()
    await redis.close()
    await asyncio.sleep(0)  # a transport closes in the loop's next turn


async def test_person_holds_what_the_student_reads_and_what_they_saw(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(stored_person(serving, 2, 3), "user-1"))
        person = (await people_with(redis).find("user-1", serving, RequestClock(CLOCK_SECONDS))).person
    assert person.touched.tolist() == [2, 3]
    assert person.encoded.item_rows.tolist() == [4, 3]
    assert person.history.times.tolist() == [1_800_000_000, 1_800_000_001]
    assert person.query is not None
    assert person.query.vector.tolist() == [0.5] * 4


async def test_person_without_a_vector_gets_one_that_is_no_row_of_a_batch(serving: ServingBundle) -> None:
    people = people_with(None)
    found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.query is None
    batch = np.full((8, 4), 0.1, np.float32)
    people.remember("user-1", found.person, batch[3], serving)
    known = (await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))).person
    assert known.vector is not None
    assert known.vector.base is None
    assert known.vector.tolist() == np.full(4, 0.1, np.float16).tolist()
    assert known.query is not None
    assert known.query.vector is known.vector


async def test_items_this_bundle_does_not_know_are_kept_for_the_next_one(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    person = stored_person(serving, 2, 3, 4)
    keys = person.events.keys.copy()
    keys[1] = 1 << 63
    strange = StoredPerson(replace(person.events, keys=keys), person.vector, person.tag)
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", encode_person(strange, "user-1"))
        found = await people_with(redis).find("user-1", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.touched.tolist() == [2, 4]
    assert found.person.history.times.tolist() == [1_800_000_000, 1_800_000_002]
    assert found.person.events.keys.tolist() == keys.tolist()


async def test_blob_of_another_version_of_the_code_is_a_quiet_miss(
    serving: ServingBundle, redis_server: RedisServer
) -> None:
    async with raw(redis_server) as client, connected(redis_server) as redis:
        await client.set(KEY_PREFIX + "user-1", b"SRH\x01" + b"\0" * 300)
        metrics = Metrics()
        people = People(PeopleInMemory(2**20), redis, metrics, max_age_seconds=1000.0)
        found = await people.find("user-1", serving, RequestClock(CLOCK_SECONDS))
        people.remember("user-1", found.person, np.zeros(4, np.float32), serving)
    assert found.layer == "bundle"
    assert metrics.registry.get_sample_value("stillroom_corrupt_blobs_total") == 0
    async with raw(redis_server) as client:
        blob = await client.get(KEY_PREFIX + "user-1")
    assert isinstance(blob, bytes)
    assert len(decode_person(blob, "user-1").events) == 3


async def test_nobody_in_particular_is_the_same_object_each_time(serving: ServingBundle) -> None:
    people = people_with(None)
    first, again = [await people.find(None, serving, RequestClock(CLOCK_SECONDS)) for _ in range(2)]
    assert first.person is again.person
    assert first.person.query is not None


async def test_events_in_memory_outlive_the_bundle_they_were_read_under(serving: ServingBundle) -> None:
    people = people_with(None)
    found = await people.find("nobody", serving, RequestClock(CLOCK_SECONDS))
    blob = encode_person(stored_person(serving, 2, 3), "nobody")
    people._memory.put("nobody", msgspec.structs.replace(found.person, blob=blob, version="an older one"))
    found = await people.find("nobody", serving, RequestClock(CLOCK_SECONDS))
    assert found.person.history.item_indices.tolist() == [2, 3]
    assert found.person.vector is None


async def test_tower_runs_once_for_a_person_and_not_again_on_another_replica(
    store: Path, redis_server: RedisServer
) -> None:
    answers = []
    for n_runs in (1, 0):
        async with running(store, redis_url=redis_server.url, redis_read_timeout_ms=5000) as service:
            answers.append((await service.recommend(user_id="user-1"))["items"])
            answers.append((await service.recommend(user_id="user-1"))["items"])
            assert service.metric("stillroom_tower_runs_total") == n_runs
    assert all(items == answers[0] for items in answers)


async def test_live_events_in_redis_decide_the_answer(store: Path, redis_server: RedisServer) -> None:
    async with running(store, redis_url=redis_server.url, redis_read_timeout_ms=5000) as service:
        serving = service.parts.bundles.serving()
        person = stored_person(serving, 2, 6, tag=99)
        async with raw(redis_server) as client:
            await client.set(KEY_PREFIX + "stranger", encode_person(person, "stranger"))
        answer = await service.recommend(user_id="stranger", limit=2)
        ready = (await service.client.get("/health/ready")).json()
    assert ids_of(answer) == ["item-2", "item-6"]
    assert ready["redis"] == "up"
