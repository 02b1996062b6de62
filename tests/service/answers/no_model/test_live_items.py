"""The stream of events is followed as long as no bundle is in service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from service.answers.no_model.live_items import PAGE, LiveItems
from service.bundles.holder import BundleHolder
from service.log.erasures import ErasedPeople
from service.log.records import EVENTS_STREAM, GENERATION_KEY, RECORD_FIELD, ErasureRecord, EventRecord
from service.redis.connection import Connection
from service.telemetry.metrics import Metrics
from tests.support.events import RECEIVED_MS, event
from tests.support.redis import RedisServer
from tests.support.waiting import eventually


class Stream:
    """The stream of events in a real Redis, written by hand."""

    def __init__(self, server: RedisServer) -> None:
        self.client: Redis = Redis.from_url(server.url)
        self._n_added = 0

    async def begin(self, generation: str) -> None:
        """Lose everything and begin another one."""
        await self.client.flushall()
        await self.client.set(GENERATION_KEY, generation)
        self._n_added = 0

    async def add(self, *events: EventRecord) -> None:
        """Under ids that are early in each generation."""
        for one in events:
            await self.add_raw(msgspec.msgpack.encode(one))

    async def add_raw(self, record: bytes, field: bytes = RECORD_FIELD) -> None:
        self._n_added += 1
        await self.client.xadd(EVENTS_STREAM, {field: record}, id=f"{self._n_added}-0")


@asynccontextmanager
async def following(
    server: RedisServer, tmp_path: Path, erased: ErasedPeople | None = None
) -> AsyncIterator[tuple[Stream, LiveItems]]:
    """A stream that has begun, and who follows it."""
    bundles = BundleHolder(tmp_path / "store", Metrics(), max_batch=1, poll_seconds=1)
    redis = Connection(server.url, connect_seconds=5, read_seconds=5)
    items, stream = LiveItems(bundles, redis, erased or ErasedPeople()), Stream(server)
    await stream.begin("first")
    watching = asyncio.create_task(items.watch())
    try:
        yield stream, items
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        items.close()
        await stream.client.aclose()


async def are_popular(items: LiveItems, *item_ids: str) -> None:
    """Wait until exactly these are."""

    async def are() -> bool:
        return [item.item_id for item in items.ranked.popular] == list(item_ids)

    await eventually(are)


async def test_more_events_than_a_page_are_all_counted(redis_server: RedisServer, tmp_path: Path) -> None:
    async with following(redis_server, tmp_path) as (stream, items):
        await stream.add(*(event(user_id=f"user-{number}") for number in range(PAGE)))
        await stream.add(event(user_id="user-0", item_id="item-2"))
        await are_popular(items, "item-1", "item-2")


async def test_stream_that_begins_anew_is_read_from_its_beginning(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with following(redis_server, tmp_path) as (stream, items):
        await stream.add(*(event(user_id=f"user-{number}") for number in range(3)))
        await are_popular(items, "item-1")
        await stream.begin("second")
        await stream.add(event(item_id="item-2"))  # under an id that was read in the one before
        await are_popular(items, "item-1", "item-2")


async def test_entries_that_nobody_can_read_are_passed_over(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with following(redis_server, tmp_path) as (stream, items):
        await stream.add_raw(b"\xc1")
        await stream.add_raw(b"", field=b"another field")
        await stream.add(event())
        await are_popular(items, "item-1")


async def test_events_of_who_is_forgotten_do_not_count(redis_server: RedisServer, tmp_path: Path) -> None:
    erased = ErasedPeople()
    erased.add(ErasureRecord("e", "gone", RECEIVED_MS + 1))
    async with following(redis_server, tmp_path, erased) as (stream, items):
        await stream.add(event(user_id="gone", item_id="item-2"), event())
        await are_popular(items, "item-1")
