"""Nothing of an erased person is sent any more, and forgetting waits for one trip at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from service.answers.exposures import TRIP
from service.log.records import (
    ErasureRecord,
)
from service.redis.wire import Command, Reply
from tests.support.exposure_logs import Logging
from tests.support.redis import RedisServer
from tests.support.service import Running


async def test_nothing_of_who_is_to_be_forgotten_is_sent_any_more(logging: Logging) -> None:
    for number in range(20):  # sixteen are encoded, four are not
        logging.show(number, user_id=f"user-{number % 2}")
    logging.erased.add(ErasureRecord("e", "user-1", 1001))
    assert await logging.log.forget("user-1") == 10
    logging.show(20, user_id="user-1", sent_ms=1002, took_us=2500)  # asked before, answered afterwards
    logging.show(21, user_id="user-1", sent_ms=1003, took_us=1500)  # who comes again is somebody new
    await logging.log.flush()
    assert [int(record.request_id[1:]) for record in logging.stored()] == [*range(0, 20, 2), 21]
    assert (logging.count("exposures"), logging.count("exposures_dropped")) == (11, 0)


async def test_forgetting_waits_for_the_trip_under_way(logging: Logging) -> None:
    logging.show(0)
    await logging.log.flush()  # so that the next one need not ask whether Redis is there
    logging.show(1)
    under_way = asyncio.create_task(logging.log.flush())
    await asyncio.sleep(0)
    assert await logging.log.forget("user-1") == 0
    assert under_way.done()
    assert len(logging.stored()) == 2  # where the eraser finds it


async def test_forgetting_waits_for_one_trip_and_not_for_all_of_them(
    logging: Logging, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end: list[asyncio.Event] = []

    async def ask_one(command: Command, read: Callable[[Reply], Any]) -> Any:
        may_end.append(asyncio.Event())
        await may_end[-1].wait()
        return []

    logging.show()
    await logging.log.flush()  # so that the next one need not ask whether Redis is there
    monkeypatch.setattr(logging.log._redis, "ask_one", ask_one)
    for number in range(3 * TRIP):
        logging.show(number, user_id=f"user-{number}")
    flushing = asyncio.create_task(logging.log.flush())
    while not may_end:  # noqa: ASYNC110 - nobody tells that a trip began
        await asyncio.sleep(0)
    forgetting = asyncio.create_task(logging.log.forget("user-300"))
    await asyncio.sleep(0)
    assert not forgetting.done()
    may_end[0].set()
    assert await forgetting == 1
    assert not flushing.done()
    flushing.cancel()


async def test_forgetting_all_that_a_flush_was_about_to_send_ends_it(logging: Logging) -> None:
    logging.show()
    under_way = asyncio.create_task(logging.log.flush())
    await asyncio.sleep(0)  # it asks whether Redis is there
    assert await logging.log.forget("user-1") == 1
    await under_way
    assert logging.stored() == []


async def test_the_bounds_hold_again_after_forgetting(redis_server: RedisServer, service: Running) -> None:
    logging = Logging(redis_server, service, max_records=16)
    for number in range(16):
        logging.show(number, user_id="user-1")
    await logging.log.forget("user-1")
    for number in range(16, 32):
        logging.show(number)
    await logging.log.close()
    assert len(logging.stored()) == 16
