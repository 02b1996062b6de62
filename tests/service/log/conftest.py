"""A client of the log's Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.redis import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Of the log's Redis."""
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected
