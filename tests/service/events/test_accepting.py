"""POST /events: durable, counted once, and in the very next answer of every replica."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.contract.schemas import MAX_BATCH_EVENTS
from service.log.spool import Spool
from tests.service.log.test_spool import files_of_at_most
from tests.support.events import body, did, streamed
from tests.support.redis import RedisServer
from tests.support.service import Running, ids_of, running
from tests.support.waiting import eventually

RIGHT = ["item-13", "item-17", "item-21"]
"""Of user-1, who knows item-1, item-5 and item-9."""


async def post(service: Running, sent: dict[str, Any], status: int = 202) -> dict[str, Any]:
    """POST /events; the decoded reply, which must have this status."""
    response = await service.client.post("/events", json=sent)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def recommended(service: Running, **asked: Any) -> list[str]:
    """The next answer."""
    return ids_of(await service.recommend(limit=3, **asked))


async def has_streamed(redis: RedisServer, n_events: int) -> bool:
    """Whether the stream has exactly so many events, none of them twice."""
    found = [event.event_id for event in await streamed(redis.url)]
    assert len(set(found)) == len(found)
    return len(found) == n_events


def shared(redis: RedisServer) -> dict[str, Any]:
    """Settings of replicas on one Redis; a busy machine must not make them give up on it."""
    return {
        "redis_url": redis.url,
        "redis_read_timeout_ms": 5000,
        "redis_connect_timeout_ms": 5000,
        "circuit_open_seconds": 0.01,
    }


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
    assert "view, click, cart, purchase, rating, impression, removal" in problem["errors"][0]["message"]


async def test_largest_batch_is_accepted_and_streamed_once(store: Path, redis_server: RedisServer) -> None:
    events = [did("view", f"item-{number % 40}", f"user-{number % 50}") for number in range(MAX_BATCH_EVENTS)]
    async with running(store, **shared(redis_server)) as service:
        assert (await post(service, body("a", *events)))["accepted"] == MAX_BATCH_EVENTS
        await eventually(partial(has_streamed, redis_server, MAX_BATCH_EVENTS))


async def test_accepted_events_survive_a_service_that_was_killed(store: Path) -> None:
    async with running(store) as service:
        await post(service, body("a", did("purchase", "item-13")))
        sent = body("b", did("view", "item-2", time=5), did("view", "item-3"))
        first = await post(service, sent)
    async with running(store) as service:
        assert await post(service, sent) == {**first, "replayed": True}
        await eventually(partial(is_answer, service, ["item-17", "item-21", "item-25"]))


async def is_answer(service: Running, wanted: list[str]) -> bool:
    """Whether user-1 is recommended these now."""
    return await recommended(service, user_id="user-1") == wanted


async def test_events_wait_in_the_spool_while_redis_is_away(store: Path, redis_server: RedisServer) -> None:
    redis_server.kill()
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        await post(one, body("a", did("purchase", "item-13")))
        assert await recommended(one, user_id="user-1") == ["item-17", "item-21", "item-25"]
        await eventually(partial(is_at_least, one, "stillroom_spool_bytes", 1))
        await eventually(partial(is_at_least, one, "stillroom_spool_oldest_seconds", 0.001))
        redis_server.start()
        await eventually(partial(has_streamed, redis_server, 1))
        await eventually(partial(is_answer, other, ["item-17", "item-21", "item-25"]))
        await eventually(partial(is_no_more, one, "stillroom_spool_bytes"))
        assert one.metric("stillroom_spool_oldest_seconds") == 0


async def test_service_that_stops_ships_what_it_has(store: Path, redis_server: RedisServer) -> None:
    async with running(store, **shared(redis_server)) as service:
        await post(service, body("a", did("view", "item-2")))
    assert await has_streamed(redis_server, 1)


async def is_at_least(service: Running, name: str, value: float) -> bool:
    """Of a metric."""
    return service.metric(name) >= value


async def is_no_more(service: Running, name: str) -> bool:
    """Of a metric."""
    return service.metric(name) == 0


async def test_service_that_stops_leaves_what_takes_long_to_merge_to_the_next_one(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: Any) -> None:
        await asyncio.Event().wait()

    for module in ("accepting", "rounds"):
        monkeypatch.setattr(f"service.events.{module}.FINISH_SECONDS", 0.05)
    async with running(store) as one:
        with monkeypatch.context() as patch:
            patch.setattr(one.parts.people, "merge", never)
            await post(one, body("a", did("purchase", "item-13")))
        async with asyncio.timeout(30):
            await one.parts.events._intake.close()
    async with running(store) as other:
        await eventually(partial(is_answer, other, ["item-17", "item-21", "item-25"]))


@pytest.mark.parametrize("loses_everything", [True, False])
async def test_redis_that_comes_back_with_less_gets_the_rest_again(
    store: Path, redis_server: RedisServer, loses_everything: bool
) -> None:
    """Emptied while it runs, or killed: without persistence either way it has nothing left."""
    async with running(store, **shared(redis_server)) as service:
        for number in range(3):
            await post(service, body(f"{number}", did("view", f"item-{number}")))
        await eventually(partial(has_streamed, redis_server, 3))
        if loses_everything:
            redis_server.kill()
            redis_server.start()
        else:
            async with Redis.from_url(redis_server.url) as client:
                await client.flushall()
        await post(service, body("3", did("view", "item-3")))
        await eventually(partial(has_streamed, redis_server, 4))


async def test_clock_that_steps_back_changes_nothing(
    store: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(2_000_000_000, 1_000_000_000, -100_000_000))
    async with running(store, **shared(redis_server)) as service:
        clock: Any = service.parts.events._clock
        monkeypatch.setattr(clock, "_now_ns", lambda: next(moments) * 1_000_000_000)
        for number in range(4):
            await post(service, body(f"{number}", did("view", f"item-{number}")))
        await eventually(partial(has_streamed, redis_server, 4))
        received = [event.received_ms for event in await streamed(redis_server.url)]
    assert received == sorted(received)


async def test_disk_that_fails_refuses_the_whole_batch_with_the_remedy(service: Running) -> None:
    sent = body("a", *[did("view", "item-2")] * 100)
    with files_of_at_most(1000):
        problem = await post(service, sent, 503)
    assert problem["type"] == "urn:stillroom:problem:spool-unavailable"
    assert "STILLROOM_SPOOL" in problem["detail"]
    assert service.metric("stillroom_events_total", kind="view") == 0
    assert (await post(service, sent))["replayed"] is False


async def test_events_are_on_disk_also_after_their_folder_was_deleted_under_the_service(store: Path) -> None:
    async with running(store) as service:
        await post(service, body("a", did("purchase", "item-13")))
        shutil.rmtree(store.parent / "spool")
        await post(service, body("b", did("view", "item-2")))
        assert [path.suffix for path in (store.parent / "spool").glob("worker-*/*-*")] == [".open"]
    async with running(store) as service:
        for number, item_id in (("a", "item-13"), ("b", "item-2")):
            kind = "purchase" if number == "a" else "view"
            assert (await post(service, body(number, did(kind, item_id))))["replayed"] is True


async def test_folder_that_cannot_be_made_again_refuses_events_until_it_can(store: Path) -> None:
    spool = store.parent / "spool"
    async with running(store) as service:
        await post(service, body("a", did("purchase", "item-13")))
        replace_by_file(spool)
        problem = await post(service, body("b", did("view", "item-2")), 503)
        assert "STILLROOM_SPOOL" in problem["detail"]
        spool.unlink()
        await post(service, body("b", did("view", "item-2")))
    async with running(store) as service:
        assert (await post(service, body("a", did("purchase", "item-13"))))["replayed"] is True


def replace_by_file(folder: Path) -> None:
    """Something else has its name."""
    shutil.rmtree(folder)
    folder.touch()


async def test_spool_without_a_folder_refuses_events_and_serves_all_else(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.accepting.RECOVERY_SECONDS", 0.01)
    file = store.parent / "a file"
    file.touch()
    async with running(store, spool=str(file / "spool")) as service:
        assert await recommended(service, user_id="user-1") == RIGHT
        problem = await post(service, body("a", did("view", "item-2")), 503)
        assert "the log says" in problem["detail"]


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


async def test_group_that_could_not_be_written_fails_its_members_only(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(spool: Spool, payloads: Any) -> None:
        raise RuntimeError("not a disk's fault")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "append", broken)
        await post(service, body("a", did("view", "item-2")), 500)
    assert (await post(service, body("a", did("view", "item-2"))))["replayed"] is False


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


async def test_what_a_worker_before_left_is_known_before_the_first_batch_comes(store: Path) -> None:
    async with running(store) as service:
        await post(service, body("a", did("view", "item-2")))
    async with running(store) as service:
        assert service.parts.events.has_recovered


async def test_worker_whose_spool_cannot_be_used_starts_and_answers(store: Path, tmp_path: Path) -> None:
    in_the_way = tmp_path / "spool"
    in_the_way.touch()
    async with running(store, spool=str(in_the_way)) as service:
        assert not service.parts.events.has_recovered
        assert await recommended(service, user_id="user-1") == RIGHT


async def test_what_a_worker_before_left_counts_as_waiting_from_the_start(
    store: Path, redis_server: RedisServer
) -> None:
    async with running(store, **shared(redis_server)) as one:
        await post(one, body("a", did("view", "item-2")))
        await eventually(partial(is_no_more, one, "stillroom_spool_bytes"))
    redis_server.kill()
    async with running(store, **shared(redis_server)) as one:
        assert one.metric("stillroom_spool_bytes") > 0
        redis_server.start()  # it has lost everything
        await eventually(partial(has_streamed, redis_server, 1))
        await eventually(partial(is_no_more, one, "stillroom_spool_bytes"))
