"""A log of exposures."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.exposure_logs import Logging
from tests.support.redis import RedisServer
from tests.support.service import Running


@pytest.fixture
async def logging(redis_server: RedisServer, service: Running) -> AsyncIterator[Logging]:
    made = Logging(redis_server, service)
    yield made
    await made.log.close()
