"""After a reply only what somebody got is kept as an answer: in the live log, and for a bad moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any

import msgspec
import pytest
import redis

from models.experiments.attribution import Attributor
from service.edge.routes import id_in_batch
from service.log.records import EXPOSURES_STREAM, RECORD_FIELD, EventRecord, ExposureRecord
from tests.faults.test_student import break_student
from tests.support.redis import RedisServer
from tests.support.service import Running, ids_of, running

GOOD = [{"user_id": f"user-{number}", "limit": 3} for number in range(8)]
BAD = {"user_id": "user-9", "session": [{"item_id": "item-1", "time": int(time()) + 10**6}]}


@pytest.fixture
async def logging_service(store: Path, redis_server: RedisServer) -> AsyncIterator[Running]:
    async with running(store, redis_url=redis_server.url, redis_read_timeout_ms=5000) as service:
        yield service


async def logged(service: Running, server: RedisServer) -> list[ExposureRecord]:
    assert service.parts.exposures is not None
    await service.parts.exposures.flush()
    with redis.Redis.from_url(server.url) as client:
        entries: Any = client.xrange(EXPOSURES_STREAM)
    return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=ExposureRecord) for _, fields in entries]


async def test_batch_that_fails_as_a_whole_leaves_no_answer_behind(
    logging_service: Running, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = await logging_service.client.post("/recommend/batch", json={"requests": [*GOOD, BAD]})
    assert response.status_code == 422
    assert await logged(logging_service, redis_server) == []
    break_student(logging_service, monkeypatch, RuntimeError("boom"))
    answer = await logging_service.recommend(user_id="user-1", limit=3)
    assert answer["tier"] != "last_good"


async def test_vectors_of_a_batch_that_failed_are_kept_as_they_are_right_all_the_same(
    logging_service: Running,
) -> None:
    n_runs = "stillroom_tower_runs_total"
    await logging_service.client.post("/recommend/batch", json={"requests": [*GOOD, BAD]})
    n_before = logging_service.metric(n_runs)
    assert n_before > 0
    await logging_service.recommend(user_id="user-1")
    assert logging_service.metric(n_runs) == n_before


async def test_each_answer_of_a_batch_has_an_id_of_its_own_and_is_logged_under_it(
    logging_service: Running, redis_server: RedisServer
) -> None:
    answer = await logging_service.post("/recommend/batch", {"requests": GOOD})
    ids = [reply["request_id"] for reply in answer["replies"]]
    assert ids == [f"{answer['request_id']}.{number}" for number in range(8)]
    records = await logged(logging_service, redis_server)
    assert [(record.request_id, record.user_id) for record in records] == [
        (request_id, asked["user_id"]) for request_id, asked in zip(ids, GOOD, strict=True)
    ]


async def test_click_is_credited_to_the_answer_of_the_batch_that_it_names(
    logging_service: Running, redis_server: RedisServer
) -> None:
    """Nobody is named in these, so that the id is all there is to go by."""
    answer = await logging_service.post(
        "/recommend/batch", {"requests": [{"limit": 3}, {"limit": 5}, {"limit": 4}]}
    )
    attributor = Attributor[ExposureRecord](60, 100)
    for record in await logged(logging_service, redis_server):
        attributor.exposed(record)
    named = answer["replies"][1]
    now_ms = int(time() * 1000)
    click = EventRecord(
        "e-0", "click", ids_of(named)[0], now_ms // 1000, now_ms, request_id=named["request_id"]
    )
    (credited,) = attributor.happened(click)
    assert len(credited.exposure.item_ids) == 5


async def test_good_answers_are_kept_for_a_bad_moment_and_logged(
    logging_service: Running, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await logging_service.recommend(user_id="user-1", limit=3)
    (record,) = await logged(logging_service, redis_server)
    assert record.item_ids == ids_of(good)
    break_student(logging_service, monkeypatch, RuntimeError("boom"))
    assert (await logging_service.recommend(user_id="user-1", limit=3))["tier"] == "last_good"


@pytest.mark.parametrize("length", [1, 125, 126, 127, 128])
def test_ids_in_a_batch_are_distinct_and_no_longer_than_an_id_may_be(length: int) -> None:
    batches = ["a" * (length - 1) + last for last in "bc"]
    ids = [id_in_batch(batch, number) for batch in batches for number in range(64)]
    assert len(set(ids)) == 128
    assert max(map(len, ids)) <= 128
