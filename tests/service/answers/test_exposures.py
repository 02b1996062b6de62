from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import time
from typing import Any

import msgspec
import numpy as np
import pytest
import redis

from models.experiments.assignment import Assigned
from models.experiments.declaration import Unit
from models.history import Event, EventKind, History
from service.answers.exposures import TRIP, ExposureLog
from service.answers.recommendation import PersonalRecommendation
from service.answers.tiers import Ranking
from service.contract.schemas import Filter, RecommendRequest, SessionEvent
from service.limits.deadline import RequestClock
from service.log.erasures import ErasedPeople
from service.log.records import (
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    ExposureRecord,
    SampledHistory,
    pack_scores,
)
from service.people.resolving import resolve
from service.people.stored import StoredEvents, StoredPerson
from service.redis.connection import Connection
from service.redis.wire import Command, Reply
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import ScoringJob
from service.telemetry.metrics import Metrics
from tests.support.redis import RedisServer
from tests.support.service import Running, running

HISTORY = History.from_events(
    [Event(5, 10, EventKind.VIEW), Event(7, 20, EventKind.CART), Event(9, 30, EventKind.VIEW)]
)
VISIT = [SessionEvent("item-7", "cart"), SessionEvent("nowhere")]
ASSIGNED = Assigned("vases", "ensemble", "current", "ensemble", 0.25, "person")


class Logging:
    """A log of its own on a real Redis, never flushed but by the test."""

    def __init__(
        self, server: RedisServer, service: Running, *, sampled_share: float = 0.0, **bounds: int
    ) -> None:
        self.server = server
        self.metrics = Metrics()
        self._serving = service.parts.bundles.serving()
        connection = Connection(server.url, connect_seconds=5, read_seconds=5)
        chosen = {"max_records": 1000, "max_bytes": 1_000_000, "stream_length": 1000, **bounds}
        self.erased = ErasedPeople()
        self.log = ExposureLog(connection, self.erased, self.metrics, sampled_share=sampled_share, **chosen)

    def show(self, number: int = 0, *, sent_ms: int = 1000, took_us: int = 1500, **changes: Any) -> None:
        """changes: of the request or the answer."""
        asked: dict[str, Any] = {"user_id": "user-1", "session_id": "s", "session": VISIT}
        asked |= {name: changes.pop(name) for name in RecommendRequest.__struct_fields__ if name in changes}
        serving = self._serving
        events = StoredEvents.from_history(HISTORY, serving.item_keys)
        person = resolve(serving, "user-1", StoredPerson(events), replaced=b"")
        masks = Masks(person.seen, NO_ITEMS, None)
        ranking = Ranking(np.array([3, 1], np.int32), np.array([0.5, 0.25], np.float32), "student")
        fields = {
            "job": ScoringJob(serving, person.encoded, None, masks, 2, variant="ensemble"),
            "ranking": ranking,
            "labels": serving.labels.of(ranking.item_indices),
            "scores": ranking.scores.tolist(),
            "degraded": None,
            "request": RecommendRequest(**asked),
            "request_id": f"r{number}",
            "clock": RequestClock(),
            "person": person,
            "session": History.from_events([Event(7, 40, EventKind.CART)]),
            "scored": None,
            "assigned": ASSIGNED,
        }
        answer = PersonalRecommendation(**{**fields, **changes})
        self.log.record(answer, (sent_ms + 0.5) / 1000, (took_us + 0.5) / 1_000_000)

    def stored(self) -> list[ExposureRecord]:
        with redis.Redis.from_url(self.server.url) as client:
            entries: Any = client.xrange(EXPOSURES_STREAM)
        return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=ExposureRecord) for _, fields in entries]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"stillroom_{name}_total", labels) or 0.0


@pytest.fixture
async def logging(redis_server: RedisServer, service: Running) -> AsyncIterator[Logging]:
    made = Logging(redis_server, service)
    yield made
    await made.log.close()


async def test_a_record_says_what_was_shown_to_whom_and_why(logging: Logging) -> None:
    logging.show(placement="cart", degraded="redis_unavailable")
    await logging.log.flush()
    assert logging.stored() == [
        ExposureRecord(
            "r0",
            1000,
            ["item-3", "item-1"],
            pack_scores([0.5, 0.25]),
            logging._serving.version,
            "ensemble",
            "student",
            1500,
            "user-1",
            "user-1",
            "s",
            "vases",
            "ensemble",
            0.25,
            "cart",
            "redis_unavailable",
            3,
            2,
            1,
        )
    ]


@pytest.mark.parametrize(
    ("user_id", "session_id", "rule", "unit"),
    [
        ("u", "s", "person", "u"),
        (None, "s", "person", "\0s"),
        ("u", "s", "session", "\0s"),
        (None, None, "person", ""),
    ],
)
async def test_a_record_names_its_unit(
    logging: Logging, user_id: str | None, session_id: str | None, rule: Unit, unit: str
) -> None:
    logging.show(user_id=user_id, session_id=session_id, assigned=ASSIGNED._replace(unit_rule=rule))
    await logging.log.flush()
    assert logging.stored()[0].unit == unit


async def test_an_answer_outside_of_experiments_was_certain(logging: Logging) -> None:
    logging.show(assigned=None)
    await logging.log.flush()
    [record] = logging.stored()
    assert (record.experiment, record.arm, record.propensity, record.unit) == ("", "", 1.0, "user-1")


@pytest.fixture
async def sampling(redis_server: RedisServer, service: Running) -> AsyncIterator[Logging]:
    made = Logging(redis_server, service, sampled_share=1.0)
    yield made
    await made.log.close()


async def test_a_sampled_record_has_the_history_and_the_visit(sampling: Logging) -> None:
    sampling.show()
    await sampling.log.flush()
    kinds = [int(kind) for kind in (EventKind.VIEW, EventKind.CART, EventKind.VIEW, EventKind.CART)]
    assert sampling.stored()[0].sampled == SampledHistory(
        ["item-5", "item-7", "item-9", "item-7"], [10, 20, 30, 40], kinds
    )


@pytest.mark.parametrize(
    "asked",
    [{"filter": Filter(max_price=5)}, {"exclude_items": ["x"]}, {"diversity": 0.5}, {"exclude_seen": False}],
)
async def test_a_sampled_record_says_that_the_answer_was_narrowed(
    sampling: Logging, asked: dict[str, Any]
) -> None:
    sampling.show(**asked)
    await sampling.log.flush()
    sampled = sampling.stored()[0].sampled
    assert sampled is not None
    assert sampled.is_narrowed


async def test_the_share_that_is_sampled_is_the_one_that_was_set(
    redis_server: RedisServer, service: Running
) -> None:
    logging = Logging(redis_server, service, sampled_share=0.25, max_records=2000)
    for number in range(1000):
        logging.show(number)
    await logging.log.close()
    assert 180 < sum(record.sampled is not None for record in logging.stored()) < 320  # five deviations


async def test_records_are_in_order_over_many_trips(logging: Logging) -> None:
    for number in range(500):
        logging.show(number)
    await logging.log.flush()
    assert [record.request_id for record in logging.stored()] == [f"r{number}" for number in range(500)]
    assert logging.count("exposures") == 500
    assert logging.count("exposures_dropped") == 0


async def test_two_may_flush_at_once(logging: Logging) -> None:
    for number in range(500):
        logging.show(number)
    await asyncio.gather(logging.log.flush(), logging.log.flush())
    assert [record.request_id for record in logging.stored()] == [f"r{number}" for number in range(500)]


async def test_answers_and_their_time_are_counted_by_arm(logging: Logging) -> None:
    for number in range(20):
        logging.show(number)
    logging.show(assigned=None)
    await logging.log.flush()
    assert logging.count("arm_answers", experiment="vases", arm="ensemble", tier="student") == 20
    assert logging.count("arm_answers", experiment="", arm="", tier="student") == 0
    labels = {"experiment": "vases", "arm": "ensemble"}
    assert logging.metrics.registry.get_sample_value("stillroom_arm_seconds_count", labels) == 20
    assert logging.metrics.registry.get_sample_value("stillroom_arm_seconds_sum", labels) == pytest.approx(
        0.03
    )


async def test_records_wait_for_a_redis_that_is_away(logging: Logging) -> None:
    logging.server.kill()
    for number in range(300):
        logging.show(number)
        await logging.log.flush()
    logging.server.start()
    await logging.log.flush()
    assert [record.request_id for record in logging.stored()] == [f"r{number}" for number in range(300)]
    assert logging.count("exposures_dropped") == 0


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


async def test_records_beyond_the_number_bound_are_dropped_and_counted(
    redis_server: RedisServer, service: Running
) -> None:
    logging = Logging(redis_server, service, max_records=10)
    redis_server.kill()
    for number in range(25):
        logging.show(number, user_id=f"user-{number}")
    await logging.log.flush()
    assert logging.count("exposures_dropped") == 15
    assert await logging.log.forget("user-9") == 1
    redis_server.start()
    await logging.log.flush()
    assert [record.request_id for record in logging.stored()] == [f"r{number}" for number in range(9)]
    logging.show(99)
    await logging.log.close()
    assert logging.stored()[-1].request_id == "r99"


async def test_records_beyond_the_byte_bound_are_dropped_and_counted(
    redis_server: RedisServer, service: Running
) -> None:
    logging = Logging(redis_server, service, max_bytes=2000)
    redis_server.kill()
    for number in range(100):
        logging.show(number)
    await logging.log.flush()
    n_dropped = logging.count("exposures_dropped")
    assert 80 < n_dropped < 100
    redis_server.start()
    await logging.log.flush()
    kept = [f"r{number}" for number in range(100 - int(n_dropped))]
    assert [record.request_id for record in logging.stored()] == kept  # the first ones, as many as fit
    logging.show(100)  # what was sent takes no room any more
    await logging.log.flush()
    assert logging.stored()[-1].request_id == "r100"
    await logging.log.close()


async def test_what_redis_never_took_is_counted_as_dropped_at_the_end(logging: Logging) -> None:
    logging.server.kill()
    logging.show()
    await logging.log.close()
    assert logging.count("exposures_dropped") == 1


async def test_the_stream_keeps_no_more_than_its_length(redis_server: RedisServer, service: Running) -> None:
    logging = Logging(redis_server, service, stream_length=100)
    for number in range(1000):
        logging.show(number)
    await logging.log.close()
    assert 100 <= len(logging.stored()) < 300  # Redis trims whole nodes of a hundred


async def test_the_task_sends_by_itself(store: Path, redis_server: RedisServer, service: Running) -> None:
    logging = Logging(redis_server, service)
    logging.show()
    logging.log.start()
    await logging.log.close()
    assert len(logging.stored()) == 1


async def test_no_answer_is_logged_where_none_may_be_kept(store: Path, redis_server: RedisServer) -> None:
    async with running(store, redis_url=redis_server.url, exposure_max_records=0) as service:
        assert service.parts.exposures is None
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"


async def test_the_service_tells_when_an_answer_was_sent_and_how_long_it_took(
    store: Path, redis_server: RedisServer, service: Running
) -> None:
    logging = Logging(redis_server, service)
    before = time()
    async with running(store, redis_url=redis_server.url) as logged:
        await logged.recommend(user_id="user-1")
    after = time()
    [record] = logging.stored()
    assert int(1000 * before) <= record.sent_ms <= 1000 * after
    assert 0 < record.took_us <= 1_000_000 * (after - before)
