"""People in Redis, where Redis or what stands in it is not as it should be."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.contract.errors import HistoryUnwritable, RedisUnavailable
from service.people.blobs import encode_person
from service.people.recovery import RECOVERING, Recovery
from service.people.redis import KEY_PREFIX, BlobWrite, RedisPeople
from service.people.stored import StoredPerson
from service.redis.circuit import Circuit, CircuitState
from tests.support.people import connected, raw, views
from tests.support.redis import RedisServer
from tests.support.redis_double import speaking
from tests.support.service import ids_of, running
from tests.support.waiting import eventually

RIGHT = ["item-1", "item-5", "item-9"]


async def test_person_whose_key_cannot_be_written_fails_alone(redis_server: RedisServer) -> None:
    circuit = Circuit(1, 1000.0)
    redis = RedisPeople(redis_server.url, circuit, connect_seconds=5, read_seconds=5, ttl_seconds=100)
    async with raw(redis_server) as client:
        await client.lpush(KEY_PREFIX + "poison", "x")
        names = [f"user-{number}" for number in range(20)]
        names.insert(7, "poison")
        writes = (redis.write(BlobWrite(name, b"", b"a blob")) for name in names)
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(bool) == 20
        assert isinstance(outcomes[7], HistoryUnwritable)
        assert circuit.state is CircuitState.CLOSED
        assert await redis.read("poison") is None
    await redis.close()


async def test_what_stands_in_the_way_of_an_erasure_is_overwritten(redis_server: RedisServer) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.lpush(KEY_PREFIX + "poison", "x")
        assert await redis.write(BlobWrite("poison", None, b"forgotten"))
        assert await client.get(KEY_PREFIX + "poison") == b"forgotten"


async def test_blob_that_the_line_garbled_replaces_nothing_and_garbage_that_stands_there_is_replaced(
    redis_server: RedisServer,
) -> None:
    blob = encode_person(StoredPerson(views((1, 1000), (2, 2000))), "user-1")
    garbled = blob[:-1] + bytes([blob[-1] ^ 1])
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await client.set(KEY_PREFIX + "user-1", blob)
        assert not await redis.write(BlobWrite("user-1", garbled, b"less than that"))
        assert await client.get(KEY_PREFIX + "user-1") == blob
        await client.set(KEY_PREFIX + "user-1", garbled)
        assert await redis.write(BlobWrite("user-1", garbled, blob))


async def test_key_that_is_no_text_disturbs_nobody(redis_server: RedisServer) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        await redis.read("user-1")
        before = redis.watch.number
        changed: list[str] = []
        redis.watch.call_for_each_change(changed.append)
        await client.set(KEY_PREFIX.encode() + b"\xff\xff", b"x")
        await client.set(KEY_PREFIX + "user-1", b"x")
        assert await redis.read("user-1") == b"x"
        assert (redis.watch.number, changed) == (before, ["user-1"])


MALFORMED = [  # the first trip asks for a person and for the mark of this Redis
    b":1\r\n",
    b"$1\r\na\r\n",
    b"*0\r\n",
    b"*1\r\n$-1\r\n",
    b"*3\r\n$-1\r\n$-1\r\n$-1\r\n",
    b"*2\r\n:7\r\n$-1\r\n",
    b"*2\r\n$-1\r\n-ERR no\r\n",
    b"*2\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n",
    b"*2\r\n$-1\r\n*1\r\n$1\r\na\r\n",
    b"*999999999\r\n",
    b">1\r\n:1\r\n*2\r\n$-1\r\n$-1\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"+OK\r\n",
]


@pytest.mark.parametrize("said", MALFORMED, ids=repr)
async def test_answer_that_cannot_be_one_counts_as_redis_away(said: bytes) -> None:
    replies = {"MGET": said}
    async with speaking(replies) as url:
        circuit = Circuit(100, 1.0)
        recovery, bounds = Recovery(), {"connect_seconds": 5.0, "read_seconds": 5.0}
        redis = RedisPeople(url, circuit, **bounds, ttl_seconds=100, recovery=recovery, is_watched=True)
        outcomes = await asyncio.gather(redis.read("user-1"), return_exceptions=True)
        assert isinstance(outcomes[0], RedisUnavailable)
        assert (
            recovery.degraded == RECOVERING
        )  # others may get the like, and then cannot write what they merge
        assert circuit.came_back is False
        replies["MGET"] = b"*2\r\n$1\r\na\r\n$-1\r\n"
        assert await redis.read("user-1") == b"a"
        await redis.close()


@pytest.mark.parametrize("name", ["INFO", "HELLO", "CLIENT"])
@pytest.mark.parametrize(
    "trouble",
    [
        "BUSY a script runs",
        "LOADING the dataset",
        "NOAUTH Authentication required.",
        "MASTERDOWN Link is down",
    ],
)
async def test_trouble_that_passes_is_not_taken_for_a_redis_that_cannot_tell_of_changes(
    name: str, trouble: str
) -> None:
    replies = {"MGET": b"*2\r\n$1\r\na\r\n$1\r\nw\r\n", name: f"-{trouble}\r\n".encode()}
    async with speaking(replies) as url:
        redis = RedisPeople(url, Circuit(100, 1.0), connect_seconds=5, read_seconds=5, ttl_seconds=100)
        with pytest.raises(RedisUnavailable, match=trouble.split()[0]):
            await redis.read("user-1")
        del replies[name]
        assert await redis.read("user-1") == b"a"
        assert redis.watch.number == 1
        await redis.close()


@pytest.mark.parametrize("name", ["HELLO", "CLIENT"])
@pytest.mark.parametrize(
    "lack",
    ["ERR unknown command", "NOPROTO unsupported", "NOPERM no permissions", "unsupported command 'hello'"],
)
async def test_redis_that_cannot_tell_of_changes_is_used_without(name: str, lack: str) -> None:
    replies = {"MGET": b"*2\r\n$1\r\na\r\n$1\r\nw\r\n", name: f"-{lack}\r\n".encode()}
    async with speaking(replies) as url:
        redis = RedisPeople(url, Circuit(100, 1.0), connect_seconds=5, read_seconds=5, ttl_seconds=100)
        assert await redis.read("user-1") == b"a"
        assert redis.watch.number == 0
        await redis.close()


async def test_who_is_refused_a_write_says_that_answers_may_be_of_before(redis_server: RedisServer) -> None:
    recovery = Recovery()
    async with connected(redis_server, recovery) as redis, raw(redis_server) as client:
        await redis.look()
        assert recovery.degraded is None
        await client.config_set("maxmemory", "1")
        redis.write_later(BlobWrite("user-1", b"", b"a blob"))
        await eventually(partial(has_begun, recovery))
        assert await redis.read("user-1") is None


async def test_late_reply_before_a_quiet_time_does_not_look_as_if_redis_had_been_away(
    redis_server: RedisServer,
) -> None:
    recovery = Recovery()
    redis = RedisPeople(
        *(redis_server.url, Circuit(5, 1000.0)),
        connect_seconds=5.0,
        read_seconds=0.05,
        ttl_seconds=100,
        recovery=recovery,
    )
    await redis.look()  # so that nothing is left to be written
    redis_server.freeze()
    with pytest.raises(RedisUnavailable):
        await redis.read("user-1")
    redis_server.thaw()
    await eventually(partial(is_back, redis))  # although nobody asks
    assert recovery.degraded is None
    await redis.close()


async def is_back(redis: RedisPeople) -> bool:
    return redis.came_back is True


async def has_begun(recovery: Recovery) -> bool:
    return recovery.degraded == RECOVERING


@pytest.mark.parametrize("said", MALFORMED, ids=repr)
async def test_requests_are_answered_whatever_redis_says(store: Path, said: bytes) -> None:
    replies = dict.fromkeys(("MGET", "EVAL", "SET", "XRANGE", "HGETALL", "INFO"), said)
    async with speaking(replies) as url, running(store, redis_url=url, redis_read_timeout_ms=5000) as service:
        answer = await service.recommend(user_id="user-1", limit=3)
        assert ids_of(answer) == RIGHT
        assert answer["degraded"] == "redis_unavailable"


async def is_seen(client: Redis, name: str) -> bool:
    found: dict[str, Any] = await client.info("commandstats")
    return name in found


async def test_read_only_redis_is_read_and_its_refusals_are_said(redis_server: RedisServer) -> None:
    async with connected(redis_server) as redis, raw(redis_server) as client:
        assert await redis.write(BlobWrite("user-1", b"", b"a blob"))
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
        with pytest.raises(RedisUnavailable, match="READONLY"):
            await redis.write(BlobWrite("user-1", b"a blob", b"another"))
        assert await redis.read("user-1") == b"a blob"
        await eventually(partial(is_seen, client, "cmdstat_mget"))
