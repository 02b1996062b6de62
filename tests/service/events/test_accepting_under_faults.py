"""What was accepted lasts, whichever of service, Redis and disk fails; what cannot last is refused."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.log.spool import Spool
from tests.support.events import body, did, streamed
from tests.support.posting import RIGHT, has_streamed, is_answer, is_no_more, post, recommended
from tests.support.redis import RedisServer
from tests.support.service import Running, running, shared
from tests.support.spools import files_of_at_most
from tests.support.waiting import eventually


async def test_accepted_events_survive_a_service_that_was_killed(store: Path) -> None:
    async with running(store) as service:
        await post(service, body("a", did("purchase", "item-13")))
        sent = body("b", did("view", "item-2", time=5), did("view", "item-3"))
        first = await post(service, sent)
    async with running(store) as service:
        assert await post(service, sent) == {**first, "replayed": True}
        await eventually(partial(is_answer, service, ["item-17", "item-21", "item-25"]))


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


async def test_batch_that_one_replica_claimed_and_could_not_write_is_accepted_by_the_other(
    store: Path, redis_server: RedisServer
) -> None:
    sent = body("a", did("purchase", "item-13"), *[did("view", "item-2")] * 100)
    async with running(store, **shared(redis_server)) as one, running(store, **shared(redis_server)) as other:
        with files_of_at_most(1000):
            await post(one, sent, 503)
        assert (await post(other, sent))["replayed"] is False
        assert await recommended(other, user_id="user-1") == ["item-17", "item-21", "item-25"]
    assert await has_streamed(redis_server, 101)


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


async def test_group_that_could_not_be_written_fails_its_members_only(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(spool: Spool, payloads: Any) -> None:
        raise RuntimeError("not a disk's fault")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "append", broken)
        await post(service, body("a", did("view", "item-2")), 500)
    assert (await post(service, body("a", did("view", "item-2"))))["replayed"] is False


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
