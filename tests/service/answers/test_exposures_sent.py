"""Records reach Redis in order and within their bounds; what does not is counted."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.exposure_logs import Logging
from tests.support.redis import RedisServer
from tests.support.service import Running
from tests.support.waiting import eventually


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


async def test_the_task_sends_by_itself(logging: Logging) -> None:
    async def is_sent() -> bool:
        return len(logging.stored()) == 1

    logging.show()
    logging.log.start()
    await eventually(is_sent)  # before the log is closed, which would send it too
