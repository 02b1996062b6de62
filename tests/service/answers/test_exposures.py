"""A record says what was shown to whom, when and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any

import pytest

from models.experiments.declaration import Unit
from models.history import Event, EventKind, History
from service.contract.schemas import Filter
from service.log.records import (
    ExposureRecord,
    SampledHistory,
    pack_scores,
)
from tests.support.exposure_logs import ASSIGNED, Logging
from tests.support.redis import RedisServer
from tests.support.service import Running, running


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


@pytest.mark.parametrize(("items", "n_distinct"), [((7, 7, 5), 3), ((2, 7, 2, 4), 5)])
async def test_an_item_that_a_visit_comes_back_to_counts_once(
    logging: Logging, items: tuple[int, ...], n_distinct: int
) -> None:
    """The reference of drift counts distinct items before an event; `HISTORY` has three."""
    visit = History.from_events([Event(item, 40 + at, EventKind.VIEW) for at, item in enumerate(items)])
    logging.show(known_of_visit=visit)
    await logging.log.flush()
    assert logging.stored()[0].n_history == n_distinct


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
    [
        {"filter": Filter(max_price=5)},
        {"exclude_items": ["x"]},
        {"diversity": 0.5},
        {"exclude_seen": True},
        {"known_items": "leave_out_bought"},
        {"known_items": "leave_out_touched"},
        {"known_items": "only"},
    ],
)
async def test_a_sampled_record_says_that_the_answer_was_narrowed(
    sampling: Logging, asked: dict[str, Any]
) -> None:
    sampling.show(**asked)
    await sampling.log.flush()
    sampled = sampling.stored()[0].sampled
    assert sampled is not None
    assert sampled.is_narrowed


@pytest.mark.parametrize("asked", [{}, {"known_items": "rank"}, {"exclude_seen": False}])
async def test_a_sampled_record_says_that_the_answer_was_the_students_own(
    sampling: Logging, asked: dict[str, Any]
) -> None:
    sampling.show(**asked)
    await sampling.log.flush()
    sampled = sampling.stored()[0].sampled
    assert sampled is not None
    assert not sampled.is_narrowed


async def test_the_share_that_is_sampled_is_the_one_that_was_set(
    redis_server: RedisServer, service: Running
) -> None:
    logging = Logging(redis_server, service, sampled_share=0.25, max_records=2000)
    for number in range(1000):
        logging.show(number)
    await logging.log.close()
    assert 180 < sum(record.sampled is not None for record in logging.stored()) < 320  # five deviations


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
