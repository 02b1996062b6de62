"""Fixtures of every room: a store with a tiny bundle, a service on it, a real redis-server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from models.bundles.bundle import read_bundle
from service.bundles.serving import ServingBundle
from tests.support.bundles import tiny_bundle
from tests.support.redis import RedisServer
from tests.support.service import Running, running

# Hypothesis limits an example to 200 ms, which a busy machine exceeds at the first one: it imports and compiles.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a tiny bundle promoted."""
    folder = tmp_path / "store"
    tiny_bundle(folder)
    return folder


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    """The tiny bundle, ready to serve."""
    return ServingBundle(read_bundle(tiny_bundle(tmp_path / "served")))


@pytest.fixture
async def service(store: Path) -> AsyncIterator[Running]:
    """A service on the tiny bundle, without Redis."""
    async with running(store) as started:
        yield started


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server of this test's own, running."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def old_redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that cannot tell of changes, as before version 6 and behind most proxies."""
    server = RedisServer(tmp_path, "--rename-command", "HELLO", "")
    server.start()
    yield server
    server.kill()
