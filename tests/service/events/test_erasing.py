"""A person is forgotten: in memory, histories, spool, log and export, and on every replica."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from service.answers.tiers import LastGoodAnswers
from service.log.records import (
    ERASURES_STREAM,
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    ExposureRecord,
    pack_scores,
)
from tests.support.events import body, did, streamed
from tests.support.posting import RIGHT, has_streamed, post, recommended
from tests.support.redis import RedisServer
from tests.support.service import Running, running, shared
from tests.support.waiting import eventually

KEY = "a key of sixteen characters or more"
POPULAR = ["item-0", "item-1", "item-2"]
BACK = ["item-6", "item-10", "item-14"]
"""Of somebody who came back and looked at item-2."""


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    """A file with one operator's key."""
    file = tmp_path / "keys"
    file.write_text(f"operator:{KEY}\n")
    return str(file)


async def erase(service: Running, user_id: str) -> dict[str, Any]:
    """DELETE /people/{user_id}; the decoded answer, which must be a 200."""
    response = await service.client.delete(f"/people/{user_id}", headers={"authorization": f"Bearer {KEY}"})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def is_recommended(service: Running, wanted: list[str], **asked: Any) -> bool:
    """Whether that is the next answer."""
    return await recommended(service, **asked) == wanted


async def spooled_bytes(store: Path) -> bytes:
    """All that lies in the spool's segments."""
    return b"".join(path.read_bytes() for path in (store.parent / "spool").glob("worker-*/*"))


async def test_erased_person_is_gone_from_everywhere_and_it_is_shown(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    async with running(store, **settings) as one, running(store, **settings) as other:
        sent = body("a", did("purchase", "item-13"), did("view", "item-2"), did("view", "item-3", "user-2"))
        await post(one, sent)
        for service in (one, other):
            assert await recommended(service, user_id="user-1") != POPULAR
        await eventually(partial(has_streamed, redis_server, 3))
        await eventually(partial(has_exposed, redis_server, ["user-1", "user-1"]))
        answer = await erase(one, "user-1")
        assert answer["pending"] == []
        in_redis = {"histories": 1, "events": 2, "exposures": 2}
        assert answer["removed"] == {"memory": 1, "last_good": 1, "spool": 2, **in_redis}
        assert await has_exposed(redis_server, [])
        version = one.parts.bundles.serving().version
        for service in (one, other):
            last_good = service.parts.events.eraser._caches.last_good
            await eventually(partial(is_none_left, last_good, "user-1", version))
        assert [event.user_id for event in await streamed(redis_server.url)] == ["user-2"]
        assert b"user-1" not in await spooled_bytes(store)
        for service in (one, other):
            assert await recommended(service, user_id="user-1") == POPULAR
        assert (await post(other, sent))["replayed"] is True  # the key counts on, and nothing comes back
        assert await recommended(other, user_id="user-1") == POPULAR
        await post(one, body("b", did("view", "item-2")))  # who comes again is somebody new
        assert await recommended(other, user_id="user-1") == BACK
        await eventually(partial(has_streamed, redis_server, 2))


async def is_none_left(last_good: LastGoodAnswers, user_id: str, version: str) -> bool:
    """Whether no answer of a person is kept for a bad moment."""
    return last_good.find(user_id, version) is None


async def has_exposed(redis: RedisServer, user_ids: Sequence[str | None]) -> bool:
    """Whether these people's exposures stand in the stream, one a time."""
    async with Redis.from_url(redis.url) as client:
        entries: Any = await client.xrange(EXPOSURES_STREAM)
    records = [msgspec.msgpack.decode(fields[RECORD_FIELD], type=ExposureRecord) for _, fields in entries]
    return [record.user_id for record in records] == list(user_ids)


async def test_erasure_while_redis_is_away_is_carried_out_once_it_is_back(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    async with running(store, **settings) as one, running(store, **settings) as other:
        await post(one, body("a", did("purchase", "item-13")))
        await eventually(partial(has_streamed, redis_server, 1))
        redis_server.kill()
        answer = await erase(one, "user-1")
        assert answer["pending"] == ["histories", "events", "exposures"]
        assert answer["removed"]["spool"] == 1
        assert await recommended(one, user_id="user-1") == POPULAR
        redis_server.start()
        await eventually(partial(is_recommended, other, POPULAR, user_id="user-1"))
        await eventually(partial(has_streamed, redis_server, 0))


async def test_exposures_that_wait_for_redis_are_forgotten_too(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with running(store, **shared(redis_server), admin_keys_file=keys_file) as one:
        await recommended(one, user_id="user-2")
        await eventually(partial(has_exposed, redis_server, ["user-2"]))
        redis_server.kill()
        await recommended(one, user_id="user-1")
        await recommended(one, user_id="user-2")
        assert (await erase(one, "user-1"))["removed"]["exposures"] == 1
        redis_server.start()
        await eventually(partial(has_exposed, redis_server, ["user-2"]))


async def test_what_another_worker_sent_before_it_knew_is_deleted_later(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with running(store, **shared(redis_server), admin_keys_file=keys_file) as one:
        await erase(one, "user-1")
        now_ms = int(1000 * time())
        late = [("user-1", now_ms - 2000), ("user-2", now_ms - 2000), ("user-1", now_ms + 60_000)]
        async with Redis.from_url(redis_server.url) as client:
            for user_id, sent_ms in late:
                record = _exposure(user_id, sent_ms)
                await client.xadd(EXPOSURES_STREAM, {RECORD_FIELD: msgspec.msgpack.encode(record)})
        eraser = one.parts.events.eraser
        eraser._late = [waiting._replace(due_at=0.0) for waiting in eraser._late]
        await eventually(partial(has_exposed, redis_server, ["user-2", "user-1"]))
        assert eraser._late == []


async def test_an_exposure_that_cannot_be_read_goes_with_the_person_it_names(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with (
        Redis.from_url(redis_server.url) as client,
        running(store, **shared(redis_server), admin_keys_file=keys_file) as one,
    ):
        for user_id in ("user-1", "user-2"):
            await client.xadd(EXPOSURES_STREAM, {RECORD_FIELD: msgspec.msgpack.encode({"user_id": user_id})})
        assert (await erase(one, "user-1"))["removed"]["exposures"] == 1
        assert await client.xlen(EXPOSURES_STREAM) == 1


def _exposure(user_id: str, sent_ms: int) -> ExposureRecord:
    return ExposureRecord(
        "r", sent_ms, ["item-1"], pack_scores([0.5]), "v", "student", "student", 900, user_id=user_id
    )


async def test_erasure_outlives_the_service_and_reaches_other_workers_without_redis(
    store: Path, keys_file: str
) -> None:
    async with running(store, admin_keys_file=keys_file) as one, running(store) as other:
        assert await recommended(one, user_id="user-1") == RIGHT
        assert (await erase(one, "user-1"))["removed"] == {"memory": 1, "last_good": 1, "spool": 0}
        await eventually(partial(is_recommended, other, POPULAR, user_id="user-1"))
    async with running(store) as again:
        await eventually(partial(is_recommended, again, POPULAR, user_id="user-1"))


async def test_erasure_survives_a_redis_that_lost_its_tombstone(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with running(store, **shared(redis_server), admin_keys_file=keys_file) as one:
        await erase(one, "user-1")
    redis_server.kill()
    redis_server.start()
    async with running(store, **shared(redis_server)) as another:
        await eventually(partial(is_recommended, another, POPULAR, user_id="user-1"))


async def test_who_comes_back_stays_though_many_were_erased_before_and_all_starts_again(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with Redis.from_url(redis_server.url) as client:
        for number in range(1001):  # more than are read at once
            erased = ErasureRecord(f"e{number}", f"gone-{number}", 1)
            await client.xadd(ERASURES_STREAM, {RECORD_FIELD: msgspec.msgpack.encode(erased)})
        async with running(store, **shared(redis_server), admin_keys_file=keys_file) as one:
            await erase(one, "user-1")
            await post(one, body("b", did("view", "item-2")))
            assert await recommended(one, user_id="user-1") == BACK
        async with running(store, **shared(redis_server)) as another:
            await eventually(partial(has_looked, another))
            assert await recommended(another, user_id="user-1") == BACK
            assert await client.xlen(ERASURES_STREAM) == 1002


async def test_first_event_of_all_after_an_erasure_is_kept(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    async with (
        Redis.from_url(redis_server.url) as client,
        running(store, **shared(redis_server), admin_keys_file=keys_file) as one,
    ):
        await erase(one, "user-1")
        await eventually(partial(has_read_erasures, one))
        await post(one, body("b", did("view", "item-2")))
        await eventually(partial(has_streamed, redis_server, 1))
        eraser = one.parts.events.eraser
        await eventually(partial(has_looked, one, other_than=eraser._incarnation))
        assert await recommended(one, user_id="user-1") == BACK
        assert await client.xlen(ERASURES_STREAM) == 1


async def has_read_erasures(service: Running) -> bool:
    """Whether the shipper's last look found one."""
    return service.parts.events._shipper._erasures_after != ""


async def has_looked(service: Running, other_than: str = "") -> bool:
    """Whether the eraser knows how Redis stands."""
    return service.parts.events.eraser._incarnation != other_than


async def test_erasure_that_the_disk_does_not_let_into_the_spool_is_carried_out_everywhere_else_and_later_there(
    store: Path, keys_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, admin_keys_file=keys_file) as one:
        await post(one, body("a", did("view", "item-2")))
        spool, is_full = one.parts.events.spool, [True]
        really_erase = spool.erase

        def erase_unless_full(key: str, is_covered: Callable[[int], bool]) -> int:
            if is_full:
                raise OSError(28, "No space left on device")
            return really_erase(key, is_covered)

        monkeypatch.setattr(spool, "erase", erase_unless_full)
        assert (await erase(one, "user-1"))["pending"] == ["spool"]
        assert await recommended(one, user_id="user-1") == POPULAR
        assert b"user-1" in await spooled_bytes(store)
        is_full.clear()
        await eventually(partial(is_not_spooled, store, b"user-1"))


async def is_not_spooled(store: Path, word: bytes) -> bool:
    """Whether it stands in no segment."""
    return word not in await spooled_bytes(store)


async def test_nobody_is_erased_without_a_key(service: Running, keys_file: str) -> None:
    response = await service.client.delete("/people/user-1")
    assert response.status_code in (401, 404, 503)
    assert await recommended(service, user_id="user-1") == RIGHT


DAY_MS = 86_400_000


async def test_erasure_of_a_clock_that_is_far_ahead_swallows_nothing_that_comes_later(
    store: Path, redis_server: RedisServer, keys_file: str
) -> None:
    settings = {**shared(redis_server), "admin_keys_file": keys_file}
    ahead_ms = int(1000 * time()) + 400 * DAY_MS
    wrong = ErasureRecord("e", "user-1", ahead_ms)
    async with Redis.from_url(redis_server.url) as client:
        async with (
            running(store, **settings) as one,
            running(store, spool=str(store.parent / "other"), **settings) as two,
        ):
            await post(one, body("a", did("purchase", "item-13")))
            await erase(two, "user-1")
            await client.xadd(ERASURES_STREAM, {RECORD_FIELD: msgspec.msgpack.encode(wrong)})
            for number, service in enumerate((one, two)):
                await eventually(partial(has_corrected, service, "user-1", ahead_ms))
                await post(service, body(f"b{number}", did("view", "item-2")))
            for service in (one, two):
                assert await recommended(service, user_id="user-1") == BACK
                assert service.parts.events._clock.received_ms() < ahead_ms - 399 * DAY_MS
        async with running(store, **settings) as again:  # which reads the wrong one before its correction
            await eventually(partial(has_corrected, again, "user-1", ahead_ms))
            assert await recommended(again, user_id="user-1") == BACK
            await post(again, body("c", did("view", "item-6")))
            assert "item-6" not in await recommended(again, user_id="user-1")
            await eventually(partial(has_streamed, redis_server, 3))


async def has_corrected(service: Running, user_id: str, ahead_ms: int) -> bool:
    """Whether the person is known to be erased, and not as of then."""
    records = list(service.parts.events.eraser._erased._records.get(user_id, {}).values())
    is_known = any(abs(each.said_ms - ahead_ms) < DAY_MS for each in records)
    return is_known and max(each.received_ms for each in records) < ahead_ms - DAY_MS


async def test_erasure_that_was_asked_for_while_the_clock_was_wrong_is_corrected_once_it_is_right(
    store: Path, keys_file: str
) -> None:
    async with running(store, admin_keys_file=keys_file) as one:
        clock: Any = one.parts.events._clock
        clock._offset_ms += 400 * DAY_MS  # as if it had been believed
        really_now = clock._now_ns
        clock._now_ns = lambda: really_now() + 400 * DAY_MS * 1_000_000
        await post(one, body("a", did("purchase", "item-13")))
        await erase(one, "user-1")
        clock._now_ns = really_now
        clock._offset_ms -= 400 * DAY_MS
        clock._latest_ms = 0
        await eventually(partial(has_corrected, one, "user-1", int(1000 * time()) + 400 * DAY_MS))
        await post(one, body("b", did("view", "item-2")))
        assert await recommended(one, user_id="user-1") == BACK
        assert b"item-13" not in await spooled_bytes(store)


async def test_list_of_who_is_to_be_forgotten_is_written_again_where_it_was_deleted(
    store: Path, keys_file: str
) -> None:
    async with running(store, admin_keys_file=keys_file) as one:
        await erase(one, "user-1")
        shutil.rmtree(store.parent / "spool")
        await eventually(partial(is_spooled, store, b"user-1"))
    async with running(store) as again:
        assert await recommended(again, user_id="user-1") == POPULAR


async def is_spooled(store: Path, word: bytes) -> bool:
    """Whether it stands in the list."""
    file = store.parent / "spool" / "erasures.log"
    return file.exists() and word in file.read_bytes()
