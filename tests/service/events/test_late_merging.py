"""What is durable is shipped whatever becomes of people's histories, and these are merged as soon as they can be."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.contract.errors import RedisUnavailable
from service.events.late_merging import LateMerger
from service.events.merging import Merger
from service.events.stream import add_commands
from service.people.redis import KEY_PREFIX
from tests.support.events import body, did, encoded, event, spooled
from tests.support.people import raw, views
from tests.support.posting import has_streamed, is_answer, is_no_more, post, recommended
from tests.support.redis import RedisServer
from tests.support.service import Running, running, shared
from tests.support.spools import die, opened_spool
from tests.support.waiting import eventually

BOUGHT = ["item-17", "item-21", "item-25"]
"""What user-1 is recommended after a purchase of item-13."""


async def poison(redis: RedisServer, user_id: str = "poison") -> None:
    """A key of theirs that no history can be written to."""
    async with raw(redis) as client:
        await client.delete(KEY_PREFIX + user_id)
        await client.lpush(KEY_PREFIX + user_id, "x")


async def cure(redis: RedisServer, user_id: str = "poison") -> None:
    async with raw(redis) as client:
        await client.delete(KEY_PREFIX + user_id)


async def is_nothing_owed(service: Running) -> bool:
    """Whether people's histories and the stream have all that is on disk."""
    spool = service.parts.events.spool
    return not spool.unmerged(1) and not spool.n_unshipped_bytes


async def test_person_who_cannot_be_written_holds_up_nobody(
    store: Path, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        await poison(redis_server)
        for number in range(3):
            await post(one, body(f"p{number}", did("view", f"item-{number}", "poison")))
        await post(one, body("a", did("purchase", "item-13"), did("view", "item-1", "poison")))
        assert await recommended(other, user_id="user-1") == BOUGHT
        await eventually(partial(has_streamed, redis_server, 5))
        await eventually(partial(is_nothing_owed, one))
        assert one.metric("stillroom_people_set_aside") == 1
        assert one.metric("stillroom_learning_refused_total") >= 4
        assert (await one.client.get("/health/ready")).json()["redis"] == "up"
    said = [record for record in caplog.records if "the history of one person" in record.getMessage()]
    assert len(said) == 1
    assert "poison" not in said[0].getMessage().replace("WRONGTYPE", "")


async def test_person_who_was_set_aside_is_merged_once_their_key_is_right_again(
    store: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.set_aside.TRY_AGAIN_SECONDS", 0.0)
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        await poison(redis_server, "user-1")
        await post(one, body("a", did("purchase", "item-13")))
        assert one.metric("stillroom_people_set_aside") == 1
        await cure(redis_server, "user-1")
        await eventually(partial(is_answer, other, BOUGHT))
        await eventually(partial(is_no_more, one, "stillroom_people_set_aside"))


async def test_what_was_set_aside_is_merged_by_the_service_that_starts_next(
    store: Path, redis_server: RedisServer
) -> None:
    async with running(store, **shared(redis_server)) as service:
        await poison(redis_server, "user-1")
        await post(service, body("a", did("purchase", "item-13"), did("view", "item-1", "user-2")))
        await eventually(partial(is_nothing_owed, service))
    await cure(redis_server, "user-1")
    async with running(store, **shared(redis_server)) as again:
        await eventually(partial(is_answer, again, BOUGHT))


async def test_redis_that_is_too_slow_for_requests_gets_the_log_and_merges(
    store: Path, redis_server: RedisServer
) -> None:
    """No trip of a request ever comes back in time here."""
    settings = {**shared(redis_server), "redis_read_timeout_ms": 1}
    async with running(store, **settings) as one, running(store, **shared(redis_server)) as other:
        async with raw(redis_server) as client:
            delaying = asyncio.create_task(delay(client))
            try:
                for number in range(3):
                    await post(one, body(f"{number}", did("view", f"item-{number}")))
                await post(one, body("a", did("purchase", "item-13")))
                await eventually(partial(has_streamed, redis_server, 4))
                await eventually(partial(is_nothing_owed, one))
            finally:
                delaying.cancel()
        assert (await one.client.get("/health/ready")).json()["redis"] in ("down", "up")
        assert BOUGHT[0] in await recommended(other, user_id="user-1")


async def delay(client: Redis) -> None:
    """Redis is busy for 30 ms, again and again."""
    while True:
        await client.execute_command("DEBUG", "SLEEP", "0.03")  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("key", "is_string"),
    [
        ("stillroom:log:generation", False),
        ("stillroom:log:events:added", True),
        ("stillroom:log:exported", True),
        ("stillroom:log:erasures", True),
        ("stillroom:log:batch:a", False),
        ("stillroom:log:batch:a", True),
        ("stillroom:behind", True),
        ("stillroom:world", False),
        ("stillroom:v:user-1", True),
    ],
)
async def test_what_stands_in_the_way_under_any_key_of_ours_holds_up_nothing(
    store: Path, redis_server: RedisServer, key: str, is_string: bool
) -> None:
    async with running(store, **shared(redis_server)) as service:
        async with raw(redis_server) as client:
            await client.delete(key)
            await (client.set(key, "nonsense") if is_string else client.lpush(key, "nonsense"))
        await post(service, body("a", did("purchase", "item-13", session_id="visit")))
        await post(service, body("b", did("view", "item-13")))
        await eventually(partial(has_streamed, redis_server, 2))
        await eventually(partial(is_nothing_owed, service))
        assert await recommended(service, user_id="user-1") == BOUGHT
        assert service.metric("stillroom_people_set_aside") == 0


async def test_what_could_not_be_merged_while_redis_was_away_is_merged_when_it_is_back(
    store: Path, redis_server: RedisServer
) -> None:
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        redis_server.kill()
        await post(one, body("a", did("purchase", "item-13")))
        redis_server.start()
        await eventually(partial(is_answer, other, BOUGHT))
        await eventually(partial(is_nothing_owed, one))


async def test_what_a_killed_worker_owed_is_merged_by_who_takes_its_place(
    store: Path, redis_server: RedisServer
) -> None:
    """The batch is in the stream already, which says nothing about histories."""
    dead = opened_spool(store.parent / "spool")
    batch = spooled(1, event(kind="purchase", item_id="item-13", time=2_000_000_000))
    dead.append(encoded(batch))
    async with raw(redis_server) as client:
        for command in add_commands(batch, 100, 1000):
            await client.execute_command(*command)  # type: ignore[no-untyped-call]
    die(dead)
    async with running(store, **shared(redis_server)) as service:
        await eventually(partial(is_answer, service, BOUGHT))
        await eventually(partial(is_nothing_owed, service))
        assert await has_streamed(redis_server, 1)


async def test_what_stood_in_the_way_makes_every_replica_merge_again(
    store: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's key was overwritten: what others had merged of that person before is gone too."""
    monkeypatch.setattr("service.events.set_aside.TRY_AGAIN_SECONDS", 0.0)
    settings = {**shared(redis_server), "cache_bytes": 0}
    async with running(store, **settings) as one, running(store, **settings) as other:
        await post(one, body("a", did("purchase", "item-13")))
        await eventually(partial(is_nothing_owed, one))
        async with raw(redis_server) as client:
            await client.delete(KEY_PREFIX + "user-1")
            await client.lpush(KEY_PREFIX + "user-1", "x")
            await post(other, body("b", did("view", "item-3")))
            await client.delete(KEY_PREFIX + "user-1")
        await eventually(partial(is_answer, one, BOUGHT))
        await eventually(partial(is_answer, other, BOUGHT))


async def test_who_was_set_aside_stays_so_until_the_others_are_told(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.set_aside.TRY_AGAIN_SECONDS", 0.0)
    merger: Merger = service.parts.events._late._merger
    aside = merger._aside
    aside.add("user-1", views((1, 10)), ValueError("a list stands there"))
    told: list[str] = []

    async def away() -> None:
        raise RedisUnavailable("away")

    async def tell() -> None:
        told.append("told")

    monkeypatch.setattr(service.parts.people, "doubt", away)
    with pytest.raises(RedisUnavailable):
        await merger.try_again()
    assert "user-1" in aside
    monkeypatch.setattr(service.parts.people, "doubt", tell)
    await merger.try_again()
    assert (told, len(aside)) == (["told"], 0)


async def test_unexpected_failure_of_one_person_sets_that_one_aside(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = service.parts.people
    merge = people.merge

    async def fail(key: str, *arguments: Any) -> None:
        if key == "broken":
            raise ZeroDivisionError
        await merge(key, *arguments)

    monkeypatch.setattr(people, "merge", fail)
    await post(service, body("a", did("view", "item-1", "broken"), did("purchase", "item-13")))
    assert await recommended(service, user_id="user-1") == BOUGHT
    assert service.metric("stillroom_people_set_aside") == 1
    await eventually(partial(is_nothing_owed, service))


async def test_batch_that_somebody_merges_right_now_is_not_merged_twice(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: LateMerger = service.parts.events._late
    started, go_on, n_merged = asyncio.Event(), asyncio.Event(), 0
    people = service.parts.people
    merge = people.merge

    async def slowly(*arguments: Any) -> None:
        nonlocal n_merged
        n_merged += 1
        started.set()
        await go_on.wait()
        await merge(*arguments)

    monkeypatch.setattr(people, "merge", slowly)
    posting = asyncio.create_task(post(service, body("a", did("purchase", "item-13"))))
    await started.wait()
    assert await late._round()
    assert n_merged == 1
    go_on.set()
    await posting
    assert await late._round()
    assert await is_nothing_owed(service)
