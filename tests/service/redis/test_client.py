"""The client of commands and of the monitor: how long it waits, and for a server that comes later."""

from __future__ import annotations

import pytest

from service.redis.client import CONNECT_SECONDS, READ_SECONDS, open_client
from tests.support.redis import RedisServer


@pytest.mark.parametrize(("chosen", "waits"), [({}, READ_SECONDS), ({"read_seconds": 2.5}, 2.5)])
def test_client_waits_for_a_connection_and_for_a_reply_but_not_for_ever(
    redis_server: RedisServer, chosen: dict[str, float], waits: float
) -> None:
    with open_client(redis_server.url, **chosen) as client:
        assert client.ping()
        options = client.connection_pool.connection_kwargs
    assert (options["socket_connect_timeout"], options["socket_timeout"]) == (CONNECT_SECONDS, waits)


def test_server_may_come_after_its_client(redis_server: RedisServer) -> None:
    redis_server.kill()
    with open_client(redis_server.url) as client:
        redis_server.start()
        assert client.ping()
