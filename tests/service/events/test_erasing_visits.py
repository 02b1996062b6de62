"""Visits are forgotten: with the person whose they were, or by themselves."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.log.records import (
    EVENTS_STREAM,
)
from tests.service.events.test_erasing import (
    BACK,
    KEY,
    POPULAR,
    erase,
    has_exposed,
    is_recommended,
    keys_file,
    spooled_bytes,
)
from tests.support.events import body, did, streamed
from tests.support.posting import has_streamed, post, recommended
from tests.support.redis import RedisServer
from tests.support.service import Running, running, shared
from tests.support.waiting import eventually

__all__ = ["keys_file"]


async def erase_visit(service: Running, session_id: str) -> dict[str, Any]:
    """DELETE /sessions/{session_id}; the decoded answer, which must be a 200."""
    headers = {"authorization": f"Bearer {KEY}"}
    response = await service.client.delete(f"/sessions/{session_id}", headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def visited(item_id: str, session_id: str = "visit", user_id: str | None = None) -> dict[str, Any]:
    """A view of a visit, of nobody in particular unless somebody is named."""
    return did("view", item_id, user_id, session_id=session_id)


@pytest.mark.parametrize("with_redis", [True, False])
async def test_visits_that_were_sent_with_a_persons_id_go_with_the_person(
    store: Path, redis_server: RedisServer, keys_file: str, with_redis: bool
) -> None:
    settings = {**(shared(redis_server) if with_redis else {}), "admin_keys_file": keys_file}
    async with running(store, **settings) as one:
        await post(one, body("a", visited("item-2"), visited("item-2", "another")))
        await post(one, body("b", visited("item-3", user_id="user-1")))  # they logged in
        for session_id in ("visit", "another"):
            assert await recommended(one, session_id=session_id) == BACK
        removed = (await erase(one, "user-1"))["removed"]
        assert removed["spool"] == 2
        assert removed["last_good"] == 1
        assert await recommended(one, session_id="visit") == POPULAR
        assert await recommended(one, session_id="another") == BACK
        spooled = await spooled_bytes(store)
        assert spooled.count(b"visit") - spooled.count(b"another") <= 0
        await post(one, body("c", visited("item-2")))
        assert await recommended(one, session_id="visit") == BACK  # who comes again is somebody new


async def test_visits_of_long_ago_and_of_other_replicas_go_too(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    """Their events are in no spool and no stream any more; Redis knows whose they were."""
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    async with (
        Redis.from_url(redis_server.url) as client,
        running(store, **settings) as one,
        running(store, **settings) as other,
    ):
        await post(one, body("a", visited("item-2"), visited("item-3", user_id="user-1")))
        await eventually(partial(has_streamed, redis_server, 2))
        await client.delete(EVENTS_STREAM)
        assert await recommended(other, session_id="visit") == BACK
        await erase(other, "user-1")
        for service in (one, other):
            await eventually(partial(is_recommended, service, POPULAR, session_id="visit"))


async def test_visits_that_only_a_redis_knows_that_was_away_go_once_it_is_back(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    async with (
        Redis.from_url(redis_server.url) as client,
        running(store, **settings) as one,
        running(store, **settings) as other,
    ):
        await post(one, body("a", visited("item-2"), visited("item-3", user_id="user-1")))
        await eventually(partial(has_streamed, redis_server, 2))
        await client.delete(EVENTS_STREAM)
        assert await recommended(other, session_id="visit") == BACK
        redis_server.freeze()
        assert (await erase(other, "user-1"))["pending"] == ["histories", "events", "exposures"]
        redis_server.thaw()
        for service in (one, other):
            await eventually(partial(is_recommended, service, POPULAR, session_id="visit"))


async def test_visits_that_only_answers_name_go_with_the_person(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with running(store, **shared(redis_server), admin_keys_file=keys_file) as one:
        await post(one, body("a", visited("item-2")))
        await recommended(one, session_id="visit")
        await recommended(one, user_id="user-1", session_id="visit")  # logged in, and did nothing since
        await eventually(partial(has_exposed, redis_server, [None, "user-1"]))
        assert (await erase(one, "user-1"))["removed"]["exposures"] == 2
        assert await recommended(one, session_id="visit") == POPULAR
        assert await has_streamed(redis_server, 0)


async def test_visit_is_forgotten_by_itself_and_nobody_with_it(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    async with running(store, **settings) as one, running(store, **settings) as other:
        await post(one, body("a", visited("item-2"), visited("item-13", user_id="user-1")))
        assert await recommended(other, session_id="visit") == BACK
        before = await recommended(other, user_id="user-1")
        await eventually(partial(has_streamed, redis_server, 2))
        await eventually(partial(has_exposed, redis_server, [None, "user-1"]))
        answer = await erase_visit(one, "visit")
        assert answer["session_id"] == "visit"
        assert answer["pending"] == []
        in_redis = {"histories": 1, "events": 1, "exposures": 1}
        assert answer["removed"] == {"memory": 1, "last_good": 0, "spool": 1, **in_redis}
        for service in (one, other):
            await eventually(partial(is_recommended, service, POPULAR, session_id="visit"))
        assert await recommended(other, user_id="user-1") == before
        assert [event.user_id for event in await streamed(redis_server.url)] == ["user-1"]
        audit = (store.parent / "spool" / "audit.jsonl").read_text()
        assert audit.count("a visit") == 2
        assert '"visit"' not in audit


async def test_visit_is_not_forgotten_without_a_key_or_by_an_id_that_is_none(
    store: Path, keys_file: str
) -> None:
    async with running(store, admin_keys_file=keys_file) as one:
        assert (await one.client.delete("/sessions/visit")).status_code == 401
        headers = {"authorization": f"Bearer {KEY}"}
        refused = await one.client.delete(f"/sessions/{'x' * 257}", headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "session_id")
        for path, name in (("/sessions/%ed%a0%80", "session_id"), ("/people/a%ff", "user_id")):
            refused = await one.client.delete(path, headers=headers)
            assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, name)
