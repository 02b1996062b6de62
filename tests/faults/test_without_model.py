"""A shop before its first model, or with one that is refused: events are taken, something is answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import pytest
from redis.asyncio import Redis

from models.bundles.registry import Registry
from tests.support.events import did, streamed
from tests.support.no_model import FIRST_EVENTS, POPULAR, are_counted, says, send
from tests.support.redis import RedisServer
from tests.support.service import ids_of, running, shared
from tests.support.waiting import eventually

UNTOUCHED: dict[str, Any] = {"known_items": "leave_out_touched"}
"""Such an answer shows what is known of who asks."""


async def test_nothing_is_known_yet_and_the_answer_says_so(empty: Path) -> None:
    async with running(empty) as service:
        answer = await service.recommend(user_id="anna")
        assert answer["items"] == []
        assert answer["tier"] == "no_model"
        assert answer["degraded"] == "no_model"
        assert answer["model"] is None
        assert answer["experiment"] is None
        assert "POST /events" in answer["shortfall"]
        assert (
            service.metric("stillroom_requests_total", route="recommend", tier="no_model", status="200") == 1
        )
        assert service.metric("stillroom_degraded_total", reason="no_model") == 1


async def test_what_people_took_is_answered_by_how_many_did(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        answer = await service.recommend(limit=2)
        assert ids_of(answer) == POPULAR[:2]
        assert [item["score"] for item in answer["items"]] == [1, 0.5]
        assert answer["shortfall"] is None
        said = "3 of 4: there are only 3 items that events have named so far"
        assert (await service.recommend(limit=4))["shortfall"] == said
        short = await service.recommend(limit=4, exclude_items=["item-3"])
        assert (
            short["shortfall"]
            == "2 of 4: of 3 items that events have named so far, exclude_items leaves no more"
        )
        short = await service.recommend(limit=4, session=[{"item_id": "item-3"}], **UNTOUCHED)
        assert short["shortfall"].endswith("known_items leaves no more")
        short = await service.post("/similar", {"item_id": "item-3", "limit": 4})
        assert short["shortfall"].endswith("the item itself leaves no more")


async def test_seen_and_excluded_items_are_left_out_for_known_people_visits_and_sessions(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        assert await says(service, ["item-9"], user_id="ben", **UNTOUCHED)
        assert await says(service, ["item-7", "item-3"], session_id="visit", **UNTOUCHED)
        assert await says(service, POPULAR, user_id="ben")
        assert await says(service, ["item-7", "item-9"], session=[{"item_id": "item-3"}], **UNTOUCHED)
        assert await says(service, ["item-3", "item-9"], exclude_items=["item-7"])


async def test_what_a_person_has_just_done_is_left_out_of_the_very_next_answer(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        await send(service, "b", did("purchase", "item-7", "carl"))
        assert await says(service, ["item-3", "item-9"], user_id="carl", **UNTOUCHED)
        await send(service, "c", did("cart", "item-3", "carl"))
        assert await says(service, ["item-9"], user_id="carl", **UNTOUCHED)
        await send(service, "d", did("removal", "item-3", "carl"))
        assert await says(service, ["item-3", "item-9"], user_id="carl", **UNTOUCHED)


async def test_what_was_sent_back_is_left_out_like_what_was_bought(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        await send(service, "b", did("purchase", "item-7", "carl"), did("return", "item-7", "carl"))
        assert await says(service, ["item-3", "item-9"], user_id="carl", known_items="leave_out_bought")
        assert await says(service, [], user_id="carl", known_items="only")


async def test_who_is_forgotten_has_seen_nothing(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        await service.parts.events.eraser.erase_person("ben")
        assert await says(service, POPULAR, user_id="ben", **UNTOUCHED)


async def test_items_that_go_with_one_are_the_popular_others(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        answer = await service.post("/similar", {"item_id": "item-7", "exclude_items": ["item-9"]})
        assert ids_of(answer) == ["item-3"]
        assert answer["tier"] == "no_model"


async def test_each_request_of_a_batch_is_answered(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        answer = await service.post("/recommend/batch", {"requests": [{}, {"user_id": "ben", **UNTOUCHED}]})
        assert [ids_of(reply) for reply in answer["replies"]] == [POPULAR, ["item-9"]]


async def test_no_item_passes_a_filter_where_nothing_is_known_of_items(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        answer = await service.recommend(filter={"max_price": 10})
        assert answer["items"] == []
        assert "without a model" in answer["shortfall"]
        assert ids_of(await service.recommend(filter={})) == POPULAR


async def test_every_fifth_place_is_a_new_item_that_two_people_took(empty: Path) -> None:
    def took(number: int, user: str) -> dict[str, Any]:
        return did("view", f"item-{number}", user, time=three_weeks_ago)

    three_weeks_ago = int(time()) - 21 * 86_400
    async with running(empty) as service:
        old = [took(number, f"user-{user}") for number in range(10) for user in range(20 - number)]
        new = [did("view", item, user) for item in ("new-1", "new-2") for user in ("anna", "ben")]
        await send(service, "a", *old, *new, did("view", "mistyped", "anna"))
        expected = [
            "item-0",
            "item-1",
            "item-2",
            "item-3",
            "new-1",
            "item-4",
            "item-5",
            "item-6",
            "item-7",
            "new-2",
        ]
        await eventually(partial(says, service, expected, limit=10))


async def test_session_in_the_future_is_told_as_with_a_model(empty: Path) -> None:
    async with running(empty) as service:
        session = [{"item_id": "item-1", "time": 4_000_000_000}]
        response = await service.client.post("/recommend", json={"session": session})
        assert response.status_code == 422
        assert response.json()["errors"][0]["path"] == "session[0].time"


async def test_replicas_say_the_same_and_one_that_starts_knows_what_was_sent_before(
    empty: Path, redis_server: RedisServer
) -> None:
    settings = shared(redis_server)
    async with running(empty, **settings) as one, running(empty, **settings) as other:
        await send(one, "a", *FIRST_EVENTS)
        for service in (one, other):
            await are_counted(service)
        assert await says(other, ["item-9"], user_id="ben", **UNTOUCHED)
        more = [did("view", "item-9", user) for user in ("carl", "dora", "eva")]
        await send(other, "b", *more)
        for service in (one, other):
            await eventually(partial(says, service, ["item-9", "item-7", "item-3"]))
        assert len(await streamed(redis_server.url)) == len(FIRST_EVENTS) + len(more)
    async with running(empty, **settings) as third:
        await eventually(partial(says, third, ["item-9", "item-7", "item-3"]))


async def test_without_redis_a_worker_that_starts_counts_what_is_in_the_spool(empty: Path) -> None:
    async with running(empty) as service:
        await send(service, "a", *FIRST_EVENTS)
    async with running(empty) as service:
        await are_counted(service)
        await eventually(partial(says, service, ["item-9"], user_id="ben", **UNTOUCHED))


async def test_events_are_counted_once_where_redis_lost_them_and_gets_them_again(
    empty: Path, redis_server: RedisServer
) -> None:
    async with running(empty, **shared(redis_server)) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        redis_server.kill()
        assert await says(service, POPULAR)
        redis_server.start()
        await send(service, "b", *(did("view", "item-9", user) for user in ("carl", "dora", "eva")))
        await eventually(partial(says, service, ["item-9", "item-7", "item-3"]))


async def test_key_of_the_stream_that_holds_something_else_leaves_answers_as_they_are(
    empty: Path, redis_server: RedisServer
) -> None:
    async with running(empty, **shared(redis_server)) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        async with Redis.from_url(redis_server.url) as client:
            await client.delete("stillroom:log:events")
            await client.set("stillroom:log:events", "no stream")
        assert await says(service, POPULAR)
        assert (await service.client.get("/health/ready")).status_code == 200


def damage(store: Path) -> None:
    """A byte less in a file of what is promoted."""
    file = store / Registry(store).current() / "user_tower.onnx"
    file.write_bytes(file.read_bytes()[:-1])


def point_nowhere(store: Path) -> None:
    (store / "current").write_text("gone\n")


def make_unreadable(store: Path) -> None:
    (store / "current").unlink()
    (store / "current").mkdir()


@pytest.mark.parametrize("spoil", [damage, point_nowhere, make_unreadable])
async def test_with_a_refused_bundle_requests_are_answered_and_the_operator_is_told(
    store: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(store)
    async with running(store) as service:
        await send(service, "a", *FIRST_EVENTS)
        await are_counted(service)
        answer = await service.recommend()
        assert answer["tier"] == "no_model"
        assert answer["degraded"] == "bundle_refused"
        assert (await service.client.get("/health/ready")).status_code == 503
        for _ in range(3):
            await service.parts.bundles.follow()
        assert service.metric("stillroom_bundles_refused_total") == 1
