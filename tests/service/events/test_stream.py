"""A batch is in the stream once, however often and by how many it is added, in parts if it is long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis

from service.events.stream import PART_EVENTS, Claim, add_commands, claim_command, n_parts
from service.log.records import (
    ADDED_KEY,
    BATCH_PREFIX,
    EVENTS_STREAM,
    RECORD_FIELD,
    EventRecord,
    SpooledBatch,
)
from tests.support.events import event, spooled
from tests.support.redis import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Of the log's Redis."""
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected


def add(client: redis.Redis, batch: SpooledBatch, parts: slice = slice(None)) -> None:
    """Some parts of a batch."""
    for command in add_commands(batch, 100, 10**6)[parts]:
        client.execute_command(*command)  # type: ignore[no-untyped-call]


def ids(client: redis.Redis) -> list[str]:
    """Of what stands in the stream, in order."""
    entries: Any = client.xrange(EVENTS_STREAM)
    return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=EventRecord).event_id for _, fields in entries]


def claimed(client: redis.Redis, batch: SpooledBatch) -> Claim | None:
    """Who holds the batch's key already; it is claimed where nobody does."""
    command = claim_command(batch.key, batch.batch_id, batch.received_ms, batch.n_sent)
    held: Any = client.execute_command(*command)  # type: ignore[no-untyped-call]
    return None if held is None else Claim.read(held)


def test_batch_is_added_once_however_often(client: redis.Redis) -> None:
    batch = spooled(1, event(), event())
    for _ in range(3):
        add(client, batch)
    assert ids(client) == [one.event_id for one in batch.events]
    assert client.get(ADDED_KEY) == b"2"


def test_long_batch_goes_on_where_another_process_died(client: redis.Redis) -> None:
    batch = spooled(1, *[event()] * (2 * PART_EVENTS + 1))
    assert n_parts(batch.n_sent) == 3
    add(client, batch, slice(0, 2))
    claim = claimed(client, batch)
    assert claim is not None
    assert not claim.is_shipped
    add(client, batch)
    assert ids(client) == [one.event_id for one in batch.events]
    claim = claimed(client, batch)
    assert claim is not None
    assert claim.is_shipped


def test_events_that_were_erased_leave_the_others_in_their_parts(client: redis.Redis) -> None:
    batch = spooled(1, *[event()] * (PART_EVENTS + 2))
    add(client, batch, slice(0, 1))
    add(client, msgspec.structs.replace(batch, events=batch.events[10:]))
    assert ids(client) == [one.event_id for one in batch.events]


def test_two_batches_that_were_accepted_under_one_key_are_both_added(client: redis.Redis) -> None:
    """As two processes may do while Redis is away."""
    first, second = spooled(1), msgspec.structs.replace(spooled(2), key="key-1")
    for batch in (first, second, second, first):
        add(client, batch)
    assert ids(client) == [first.events[0].event_id, second.events[0].event_id]
    claim = claimed(client, second)
    assert claim is not None
    assert claim.batch_id == first.batch_id


def test_batch_beside_a_claim_that_is_damaged_later_is_not_added_again(client: redis.Redis) -> None:
    first, second = spooled(1), msgspec.structs.replace(spooled(2), key="key-1")
    for batch in (first, second):
        add(client, batch)
    client.set(BATCH_PREFIX + "key-1", b"x")
    add(client, second)
    assert ids(client) == [first.events[0].event_id, second.events[0].event_id]


def test_batch_without_events_is_remembered_all_the_same(client: redis.Redis) -> None:
    batch = msgspec.structs.replace(spooled(1), events=[])
    assert claimed(client, batch) is None
    add(client, batch)
    assert (ids(client), client.get(ADDED_KEY)) == ([], None)
    claim = claimed(client, batch)
    assert claim is not None
    assert claim.is_shipped
    ttl: Any = client.ttl(BATCH_PREFIX + batch.key)
    assert 90 < ttl <= 100


def test_stream_is_bounded(client: redis.Redis) -> None:
    for number in range(300):
        for command in add_commands(spooled(number), 100, 100):
            client.execute_command(*command)  # type: ignore[no-untyped-call]
    assert client.xlen(EVENTS_STREAM) < 300


@pytest.mark.parametrize("n_shipped", [0, 1])
def test_claim_with_any_bit_turned_over_holds_no_key(n_shipped: int) -> None:
    written = Claim("0123456789abcdef" * 2, 1_790_000_000_000, 2, n_shipped).written()
    for bit in range(8 * len(written)):
        turned = bytearray(written)
        turned[bit // 8] ^= 1 << bit % 8
        assert Claim.read(bytes(turned)) is None


@pytest.mark.parametrize(
    "damaged", [b"", b"x", b"%s:7:1:1", b"%s:7:1:1:00000000", b"f" * 32 + b":7:1:0:00000000"]
)
def test_damaged_claim_refuses_nobody_and_loses_nothing(client: redis.Redis, damaged: bytes) -> None:
    batch = spooled(1, event(), event())
    damaged = damaged.replace(b"%s", batch.batch_id.encode())
    client.set(BATCH_PREFIX + batch.key, damaged)
    add(client, batch)
    add(client, batch)
    assert ids(client) == [one.event_id for one in batch.events]
    client.set(BATCH_PREFIX + batch.key, damaged)
    assert claimed(client, batch) is None
    claim = claimed(client, batch)
    assert claim is not None
    assert claim.batch_id == batch.batch_id
