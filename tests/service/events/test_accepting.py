"""POST /events: counted once, and in the very next answer of every replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from service.contract.schemas import MAX_BATCH_EVENTS
from tests.support.events import body, did
from tests.support.posting import RIGHT, has_streamed, post, recommended
from tests.support.redis import RedisServer
from tests.support.service import Running, running, shared
from tests.support.waiting import eventually


async def test_what_one_replica_accepts_is_in_the_next_answer_of_the_other(
    store: Path, redis_server: RedisServer
) -> None:
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        for service in (one, other):
            assert await recommended(service, user_id="user-1") == RIGHT
            assert await recommended(service, session_id="visit") == ["item-0", "item-1", "item-2"]
        reply = await post(
            one, body("a", did("purchase", "item-13"), did("click", "item-2", None, session_id="visit"))
        )
        assert reply == {"accepted": 2, "rejected": [], "replayed": False}
        for service in (other, one):
            assert await recommended(service, user_id="user-1") == ["item-17", "item-21", "item-25"]
            assert await recommended(service, session_id="visit") == ["item-6", "item-10", "item-14"]
        await post(other, body("b", did("cart", "item-17"), did("cart", "item-21")))
        await post(one, body("c", did("removal", "item-17")))
        assert await recommended(other, user_id="user-1") == ["item-17", "item-25", "item-29"]


@pytest.mark.parametrize("kinds", [("purchase", "cart", "removal"), ("view", "cart", "removal")])
@pytest.mark.parametrize("n_requests", [1, 3])
async def test_item_out_of_the_cart_again_is_what_it_was_before_however_it_was_sent(
    service: Running, kinds: tuple[str, ...], n_requests: int
) -> None:
    events = [did(kind, "item-13") for kind in kinds]
    n_events = len(events) // n_requests
    for number in range(n_requests):
        await post(service, body(f"{number}", *events[number * n_events : (number + 1) * n_events]))
    assert await recommended(service, user_id="user-1") == ["item-17", "item-21", "item-25"]


async def test_item_that_was_only_in_the_cart_is_recommended_once_it_is_out_again(service: Running) -> None:
    for number, kind in enumerate(("cart", "removal")):
        await post(service, body(f"{number}", did(kind, "item-13")))
    assert await recommended(service, user_id="user-1") == RIGHT


async def test_purchase_is_known_after_any_number_of_views(service: Running) -> None:
    moment = int(time())
    await post(service, body("a", did("purchase", "item-13", time=moment - 3000)))
    views = [did("view", f"unknown-{number}", time=moment - 2500 + number) for number in range(2500)]
    await post(service, body("b", *views))
    assert await recommended(service, user_id="user-1") == ["item-17", "item-21", "item-25"]


async def test_same_batch_again_gets_the_same_reply_and_counts_once_whoever_is_asked(
    store: Path, redis_server: RedisServer
) -> None:
    sent = body("a", did("view", "item-2"), did("view", "item-3", time=5), did("impression", "item-4"))
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        first = await post(one, sent)
        assert [rejected["index"] for rejected in first["rejected"]] == [1]
        await eventually(partial(has_streamed, redis_server, 2))
        for service in (one, other, one, other):
            assert await post(service, sent) == {**first, "replayed": True}
        assert one.metric("stillroom_events_total", kind="view") == 1
        assert other.metric("stillroom_events_total", kind="view") == 0
        assert one.metric("stillroom_events_rejected_total", reason="time_before_1990") == 1
        refused = [await post(service, body("a", did("view", "item-2")), 409) for service in (one, other)]
        assert all("under a key of its own" in problem["detail"] for problem in refused)
    assert await has_streamed(redis_server, 2)


async def test_same_batch_many_times_at_once_counts_once(service: Running) -> None:
    sent = body("a", did("view", "item-2"))
    replies = await asyncio.gather(*(post(service, sent) for _ in range(10)))
    assert [reply["replayed"] for reply in replies] == [False] + [True] * 9
    assert (await post(service, sent))["replayed"] is True
    await post(service, body("a", did("view", "item-3")), 409)
    assert service.metric("stillroom_events_total", kind="view") == 1
    together = await asyncio.gather(
        *(
            service.client.post("/events", json=body("b", did("view", item_id)))
            for item_id in ("item-2", "item-3")
        )
    )
    assert sorted(response.status_code for response in together) == [202, 409]


async def test_unknown_items_and_people_are_kept_and_counted(store: Path, redis_server: RedisServer) -> None:
    async with running(store, **shared(redis_server)) as service:
        sent = body(
            "a", did("view", "no such item", "nobody we know"), did("view", "item-2", "nobody we know")
        )
        assert (await post(service, sent))["accepted"] == 2
        assert service.metric("stillroom_events_unknown_total", what="item") == 1
        assert service.metric("stillroom_events_unknown_total", what="person") == 1
        assert await recommended(service, user_id="nobody we know") == ["item-6", "item-10", "item-14"]
        await eventually(partial(has_streamed, redis_server, 2))


@pytest.mark.parametrize(
    ("sent", "status", "path"),
    [
        (body("a"), 422, "events"),
        (body("", did("view", "x")), 422, "key"),
        (body("a" * 129, did("view", "x")), 422, "key"),
        (body("a", did("look", "x")), 422, "events[0].kind"),
        (body("a", did("view", "x", colour="red")), 422, "events[0].colour"),
        (body("a", *[did("view", "x")] * (MAX_BATCH_EVENTS + 1)), 422, "events"),
    ],
)
async def test_batch_that_is_none_is_refused_as_a_whole(
    service: Running, sent: dict[str, Any], status: int, path: str
) -> None:
    problem = await post(service, sent, status)
    assert problem["errors"][0]["path"] == path
    assert service.metric("stillroom_events_rejected_total", reason=f"batch_{status}") == 1


async def test_kinds_are_named_to_who_sends_another(service: Running) -> None:
    problem = await post(service, body("a", did("look", "x")), 422)
    assert (
        "view, click, cart, purchase, rating, dislike, impression, removal" in problem["errors"][0]["message"]
    )


async def test_largest_batch_is_accepted_and_streamed_once(store: Path, redis_server: RedisServer) -> None:
    events = [did("view", f"item-{number % 40}", f"user-{number % 50}") for number in range(MAX_BATCH_EVENTS)]
    async with running(store, **shared(redis_server)) as service:
        assert (await post(service, body("a", *events)))["accepted"] == MAX_BATCH_EVENTS
        await eventually(partial(has_streamed, redis_server, MAX_BATCH_EVENTS))


async def test_batches_beyond_what_is_at_work_get_429_and_people_are_answered(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Callable[[], Any]) -> Any:
        started.set()
        await go_on.wait()
        return call()

    async with running(store, max_event_batches=1) as service:
        await post(service, body("a", did("view", "item-2")))
        monkeypatch.setattr(service.parts.events.thread, "run", slow)
        waiting = asyncio.create_task(post(service, body("b", did("view", "item-2"))))
        await started.wait()
        await post(service, body("c", did("view", "item-2")), 429)
        assert await recommended(service, user_id="user-1") == RIGHT
        go_on.set()
        assert (await waiting)["accepted"] == 1


async def test_times_of_events_do_not_count_as_times_of_answers(service: Running) -> None:
    before = service.metric("stillroom_stage_seconds_count", stage="total")
    await post(service, body("a", did("view", "item-2")))
    assert service.metric("stillroom_stage_seconds_count", stage="total") == before
    assert service.metric("stillroom_event_seconds_count") == 1
    assert service.metric("stillroom_requests_total", route="events", tier="none", status="202") == 1


async def test_reply_over_the_wire_is_a_202_with_the_request_id(service: Running) -> None:
    response: httpx.Response = await service.client.post(
        "/events", json=body("a", did("view", "item-2")), headers={"x-request-id": "mine"}
    )
    assert (response.status_code, response.headers["x-request-id"]) == (202, "mine")
