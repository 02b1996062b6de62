"""Redis dies, freezes, comes back or never answers; no request fails and every answer says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from loadtest.servers import free_port
from service.people.redis import KEY_PREFIX
from service.redis.circuit import CircuitState
from tests.support.redis import RedisServer
from tests.support.service import Running, ids_of, running
from tests.support.stalling import stalling_server
from tests.support.waiting import eventually

RIGHT = ["item-1", "item-5", "item-9"]
GENEROUS = {"redis_read_timeout_ms": 5000, "redis_connect_timeout_ms": 5000, "cache_bytes": 0}
"""cache_bytes 0: every request asks Redis."""


async def ask(service: Running) -> dict[str, Any]:
    """A request whose right answer is known with or without Redis."""
    answer = await service.recommend(user_id="user-1", limit=3)
    assert ids_of(answer) == RIGHT
    assert answer["tier"] == "student"
    return answer


async def is_whole(service: Running) -> bool:
    """Whether an answer is not degraded."""
    return (await ask(service))["degraded"] is None


async def is_degraded(service: Running) -> bool:
    """Whether an answer says that Redis is away."""
    return (await ask(service))["degraded"] == "redis_unavailable"


async def test_redis_killed_and_restarted_under_traffic(store: Path, redis_server: RedisServer) -> None:
    async with running(
        store, redis_url=redis_server.url, circuit_failures=2, circuit_open_seconds=0.01, **GENEROUS
    ) as service:
        assert (await ask(service))["degraded"] is None
        redis_server.kill()
        for answer in await asyncio.gather(*(ask(service) for _ in range(20))):
            assert answer["degraded"] == "redis_unavailable"
        assert (await ask(service))["degraded"] == "redis_unavailable"
        assert (await service.client.get("/health/ready")).json()["redis"] == "down"
        redis_server.start()
        await eventually(lambda: is_whole(service))  # once the circuit has tried again
        assert (await service.client.get("/health/ready")).json()["redis"] == "up"
        assert service.metric("stillroom_degraded_total", reason="redis_unavailable") >= 21


async def test_redis_that_never_answers_costs_at_most_its_slice(store: Path) -> None:
    async with (
        stalling_server() as port,
        running(store, redis_url=f"redis://127.0.0.1:{port}/0", redis_read_timeout_ms=10) as service,
    ):
        assert (await ask(service))["degraded"] == "redis_unavailable"


async def test_request_does_not_wait_for_redis_beyond_its_own_deadline(store: Path) -> None:
    """The trip may take 5 s here, the request 200 ms; it answers while the trip is still under way."""
    async with (
        stalling_server() as port,
        running(store, redis_url=f"redis://127.0.0.1:{port}/0", redis_read_timeout_ms=300) as service,
    ):
        answer = await service.recommend(user_id="user-1", limit=3, deadline_ms=200)
        assert answer["degraded"] == "redis_unavailable"
        assert service.parts.redis is not None
        assert service.parts.redis.is_up  # no trip has failed yet


async def test_circuit_keeps_requests_away_from_a_dead_redis(store: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    async with running(store, redis_url=url, circuit_failures=3, circuit_open_seconds=3600) as service:
        for _ in range(5):
            assert (await ask(service))["degraded"] == "redis_unavailable"
        assert service.metric("stillroom_redis_circuit") == CircuitState.OPEN
        assert service.parts.redis is not None
        assert not service.parts.redis.is_up


async def test_frozen_redis_is_survived_and_used_again(store: Path, redis_server: RedisServer) -> None:
    async with running(
        store,
        redis_url=redis_server.url,
        cache_bytes=0,
        redis_read_timeout_ms=50,
        circuit_failures=1,
        circuit_open_seconds=0.01,
    ) as service:
        await ask(service)
        redis_server.freeze()
        try:
            assert (await ask(service))["degraded"] == "redis_unavailable"
        finally:
            redis_server.thaw()
        await eventually(lambda: is_whole(service))


async def test_corrupt_blob_counts_as_redis_away_until_all_is_merged_again(
    store: Path, redis_server: RedisServer
) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.set(KEY_PREFIX + "user-1", b"SRH\x01 but then nonsense")
    async with running(store, redis_url=redis_server.url, **GENEROUS) as service:
        assert (await ask(service))["degraded"] == "redis_unavailable"
        assert service.metric("stillroom_corrupt_blobs_total") >= 1
        await eventually(lambda: is_whole(service))


async def test_person_in_memory_is_served_while_redis_is_away(store: Path, redis_server: RedisServer) -> None:
    async with running(store, redis_url=redis_server.url, redis_read_timeout_ms=5000) as service:
        await ask(service)
        redis_server.kill()
        await eventually(lambda: is_degraded(service))  # as soon as the broken connection is noticed
        assert service.metric("stillroom_tower_runs_total") == 1  # the vector in memory is still good


async def test_redis_that_never_answered_is_not_called_up(store: Path, redis_server: RedisServer) -> None:
    redis_server.kill()
    async with running(store, redis_url=redis_server.url, **GENEROUS) as service:
        assert (await service.client.get("/health/ready")).json()["redis"] == "untried"
        assert (await ask(service))["degraded"] == "redis_unavailable"
        assert (await service.client.get("/health/ready")).json()["redis"] == "down"
