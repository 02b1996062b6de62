"""Reading the live log from a real Redis: order, going on, and what was trimmed, deleted or lost."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import redis

from service.events.stream import delete_command
from service.log.records import (
    EVENTS_STREAM,
    EXPOSURES_STREAM,
    RECORD_FIELD,
    ErasureRecord,
    ExposureRecord,
)
from service.monitor.metrics import MonitorMetrics
from service.monitor.tail import PAGE_RECORDS, EntryId, LogTail, Record
from tests.support.monitoring import click, push, shown
from tests.support.redis import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected


def everything(tail: LogTail) -> list[Record]:
    """Until nothing more comes."""
    found: list[Record] = []
    while page := tail.read():
        found += page
    return found


def n_trimmed(metrics: MonitorMetrics, stream: str) -> float:
    return metrics.registry.get_sample_value("stillroom_monitor_trimmed_total", {"stream": stream}) or 0.0


def names(records: list[Record]) -> list[str]:
    return [
        record.request_id if isinstance(record, ExposureRecord) else record.event_id for record in records
    ]


def now_ms(client: redis.Redis) -> int:
    """By the clock that gives entries their ids."""
    seconds, microseconds = client.time()
    return 1000 * seconds + microseconds // 1000


def test_all_streams_are_read_in_the_order_in_which_they_were_written(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    erasure = ErasureRecord("erasure", "user-1", 1)
    written: list[Record] = [shown(0), click(0), erasure, shown(1), shown(2), click(2)]
    for record in written:  # each in a millisecond of its own, by which they are ordered
        (entry_id,) = push(redis_server.url, [record])
        while now_ms(client) <= EntryId.read(entry_id).unix_ms:
            pass
    assert everything(LogTail(client, MonitorMetrics())) == written


def test_a_later_monitor_goes_on_where_the_last_one_saved(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    push(redis_server.url, [shown(0), click(0)])
    first = LogTail(client, MonitorMetrics())
    everything(first)
    first.save({"more": b"state"})
    push(redis_server.url, [shown(1)])
    everything(first)
    second = LogTail(client, MonitorMetrics())
    assert second.resume()["more"] == b"state"
    assert everything(second) == [shown(1)]
    assert everything(second) == []


def test_what_was_read_just_before_can_be_read_again(redis_server: RedisServer, client: redis.Redis) -> None:
    push(redis_server.url, [shown(0), click(0)])
    tail = LogTail(client, MonitorMetrics())
    assert tail.before(3_600) == []
    everything(tail)
    tail.save({})
    later = LogTail(client, MonitorMetrics())
    later.resume()
    assert set(names(later.before(3_600))) == set(names([shown(0), click(0)]))
    assert everything(later) == []


def test_the_shorter_stream_is_not_read_ahead_of_the_longer_one(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    n_shown = PAGE_RECORDS + 200
    push(redis_server.url, [shown(number) for number in range(n_shown)])
    push(redis_server.url, [click(n_shown - 1)])
    metrics = MonitorMetrics()
    tail = LogTail(client, metrics)
    first = tail.read()
    assert len(first) == PAGE_RECORDS
    assert click(n_shown - 1) not in first
    assert (
        metrics.registry.get_sample_value("stillroom_monitor_lag_seconds", {"stream": "exposures"})
        is not None
    )
    assert names(everything(tail))[-1] == click(n_shown - 1).event_id


def test_a_stream_that_was_trimmed_before_it_was_read_is_counted_and_read_on(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    push(redis_server.url, [shown(0)])
    metrics = MonitorMetrics()
    tail = LogTail(client, metrics)
    everything(tail)
    tail.save({})
    push(redis_server.url, [shown(number) for number in range(1, 10)])
    client.xtrim(EXPOSURES_STREAM, maxlen=4, approximate=False)
    later = LogTail(client, metrics)
    later.resume()
    assert everything(later) == [shown(number) for number in range(6, 10)]
    assert n_trimmed(metrics, "exposures") == 1
    assert n_trimmed(metrics, "events") == 0


def test_a_stream_that_was_trimmed_behind_the_monitor_is_no_loss(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    metrics = MonitorMetrics()
    tail = LogTail(client, metrics)
    push(redis_server.url, [shown(number) for number in range(9)])
    everything(tail)
    client.xtrim(EXPOSURES_STREAM, maxlen=1, approximate=False)
    tail.disconnected()
    everything(tail)
    assert n_trimmed(metrics, "exposures") == 0


def test_an_entry_that_left_with_a_forgotten_person_is_no_loss(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    metrics = MonitorMetrics()
    tail = LogTail(client, metrics)
    (entry_id,) = push(redis_server.url, [click(0)])
    everything(tail)
    push(redis_server.url, [click(1)])
    client.execute_command(*delete_command(EVENTS_STREAM, [entry_id]))  # type: ignore[no-untyped-call]
    tail.disconnected()
    assert everything(tail) == [click(1)]
    assert n_trimmed(metrics, "events") == 0


def test_a_redis_that_lost_everything_is_read_from_its_new_beginning(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    metrics = MonitorMetrics()
    tail = LogTail(client, metrics)
    push(redis_server.url, [shown(number) for number in range(3)])
    everything(tail)
    redis_server.kill()
    with pytest.raises(redis.RedisError):
        tail.read()
    tail.disconnected()
    redis_server.start()
    # Its clock may be behind the lost one's, so that entries come before what was read last.
    client.xadd(EXPOSURES_STREAM, {RECORD_FIELD: msgspec.msgpack.encode(shown(7))}, id="5-1")
    assert everything(tail) == [shown(7)]
    assert n_trimmed(metrics, "exposures") == 1


def test_an_entry_that_is_no_record_is_counted_and_passed(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    client.xadd(EVENTS_STREAM, {RECORD_FIELD: b"\xc1"})
    client.xadd(EVENTS_STREAM, {"other": b""})
    client.xadd(EVENTS_STREAM, {RECORD_FIELD: msgspec.msgpack.encode(click(0))})
    metrics = MonitorMetrics()
    assert everything(LogTail(client, metrics)) == [click(0)]
    assert metrics.registry.get_sample_value("stillroom_monitor_unreadable_total", {"stream": "events"}) == 2
