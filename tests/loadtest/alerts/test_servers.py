"""The way to Redis that can be made slow, and programs that are not there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from loadtest.alerts.servers import SlowLine, installed
from loadtest.errors import ServerMissing
from tests.support.ports import free_port
from tests.support.redis import RedisServer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def ping(port: int) -> bytes:
    """What a Redis at the port says."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16)


def test_answers_take_as_long_as_one_says(redis: RedisServer) -> None:
    line = SlowLine(free_port(), redis.port)
    with line.open():
        assert ping(line.port) == b"+PONG\r\n"
        line.delay_seconds = 0.2
        started_at = monotonic()
        assert ping(line.port) == b"+PONG\r\n"
        assert monotonic() - started_at >= 0.2


def test_a_line_to_nowhere_is_closed(redis: RedisServer) -> None:
    line = SlowLine(free_port(), redis.port)
    with line.open():
        redis.kill()
        assert ping(line.port) == b""
        redis.start()
        assert ping(line.port) == b"+PONG\r\n"


def test_nothing_listens_after_the_line_is_gone(redis: RedisServer) -> None:
    line = SlowLine(free_port(), redis.port)
    with line.open():
        ping(line.port)
    with pytest.raises(ConnectionRefusedError):
        ping(line.port)


def test_a_program_that_is_missing_is_named_with_the_remedy() -> None:
    with pytest.raises(ServerMissing, match=r"no-such-program.*apt-get install prometheus"):
        installed("no-such-program")
