"""A line does what its conditions say, inside a loop and as a process of its own."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from loadtest.errors import FaultUnknown
from loadtest.faults.conditions import Conditions
from loadtest.faults.proxy import Line, ProxyProcess
from loadtest.servers import HOST, free_port
from tests.support.redis import RedisServer

SAID = bytes(range(256)) * 8


class Echo:
    """Sends back what comes, and closes once its client has said all. pieces: as they came."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    self.pieces.append(data)
                    writer.write(data)
        finally:
            writer.close()


@asynccontextmanager
async def line_to_echo(conditions: Conditions) -> AsyncIterator[tuple[Line, Echo]]:
    """A line with these conditions."""
    echo, port = Echo(), free_port()
    server = await asyncio.start_server(echo.serve, HOST, port)
    line = Line(free_port(), port)
    line.set(conditions)
    await line.open()
    yield line, echo
    await line.close()
    server.close()
    await server.wait_closed()


async def told(line: Line, said: bytes = SAID) -> bytes:
    """What comes back until the line closes."""
    reader, writer = await asyncio.open_connection(HOST, line.port)
    writer.write(said)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(),
        Conditions(delay_ms=1, jitter_ms=5),
        Conditions(piece_bytes=1, ways=("questions", "answers")),
        Conditions(bytes_per_second=1e6),
    ],
)
async def test_late_and_in_pieces_is_still_the_same(conditions: Conditions) -> None:
    async with line_to_echo(conditions) as (line, _):
        assert await told(line) == SAID
        assert line.touched.connections == 1
        assert (line.touched.changed > 0) == (conditions != Conditions())


@pytest.mark.parametrize(
    ("conditions", "seconds"),
    [(Conditions(delay_ms=150), 0.15), (Conditions(bytes_per_second=len(SAID) * 5), 0.2)],
)
async def test_slow_is_at_least_as_slow_as_one_says(conditions: Conditions, seconds: float) -> None:
    async with line_to_echo(conditions) as (line, _):
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        assert await told(line) == SAID
        assert loop.time() - started_at >= seconds


async def test_pieces_that_come_together_wait_once() -> None:
    async with line_to_echo(Conditions(delay_ms=200)) as (line, echo):
        reader, writer = await asyncio.open_connection(HOST, line.port)
        for number in range(1, 11):
            writer.write(b"x")
            while len(b"".join(echo.pieces)) < number:  # noqa: ASYNC110 - each is a piece of its own
                await asyncio.sleep(0.001)
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        await reader.readexactly(10)
        assert loop.time() - started_at < 10 * 0.2
        writer.close()


async def test_one_bit_is_turned_over() -> None:
    async with line_to_echo(Conditions(flips=1.0)) as (line, echo):
        came = await told(line)
    differing = [sent ^ got for sent, got in zip(SAID, came, strict=True) if sent != got]
    assert b"".join(echo.pieces) == SAID  # questions are left alone
    assert differing
    assert all(difference.bit_count() == 1 for difference in differing)


async def test_half_of_a_piece_comes_before_the_line_closes() -> None:
    async with line_to_echo(Conditions(truncates=1.0)) as (line, _):
        came = await told(line, b"0123456789")
    assert came == b"01234"


async def test_reset_is_a_reset() -> None:
    async with line_to_echo(Conditions(resets=1.0)) as (line, _):
        with pytest.raises(ConnectionResetError):
            await told(line)


async def test_dropped_pieces_never_come_and_the_connection_stays() -> None:
    async with line_to_echo(Conditions(drops=True)) as (line, echo):
        reader, writer = await asyncio.open_connection(HOST, line.port)
        writer.write(b"lost")
        while not echo.pieces or line.touched.pieces < 2:  # noqa: ASYNC110 - the answer is on the line
            await asyncio.sleep(0.001)
        line.set(Conditions())
        writer.write(b"found")
        assert await reader.readexactly(5) == b"found"
        writer.close()


async def test_same_seed_draws_the_same() -> None:
    came: Counter[bytes] = Counter()
    for _ in range(2):
        async with line_to_echo(Conditions(flips=1.0, seed=7)) as (line, _):
            came[await told(line, b"a small piece")] += 1
    assert list(came.values()) == [2]


async def test_a_line_to_nowhere_is_closed_and_works_once_somebody_is_there(
    redis_server: RedisServer,
) -> None:
    line = Line(free_port(), redis_server.port)
    await line.open()
    redis_server.kill()
    assert await told(line, b"PING\r\n") == b""
    redis_server.start()
    assert await told(line, b"PING\r\n") == b"+PONG\r\n"
    await line.close()


async def test_replies_are_replaced_as_ruled_and_the_connection_goes_on(redis_server: RedisServer) -> None:
    line = Line(free_port(), redis_server.port, is_redis=True)
    await line.open()
    said = b"*2\r\n$4\r\nMGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n"
    line.set(Conditions(replies="numbers"))
    assert await told(line, said) == b"*1\r\n:7\r\n+PONG\r\n"
    assert line.touched.changed == 1
    line.set(Conditions())
    assert await told(line, said) == b"*1\r\n$-1\r\n+PONG\r\n"
    await line.close()


def test_rule_that_there_is_not_is_named() -> None:
    with pytest.raises(FaultUnknown, match=r"no rule 'odd'.*numbers"):
        Line(0, 0).set(Conditions(replies="odd"))


def test_process_obeys_and_says_what_it_did(redis_server: RedisServer, tmp_path: Path) -> None:
    with (
        ProxyProcess(redis_server.port, tmp_path / "log", is_redis=True) as proxy,
        Redis.from_url(proxy.redis_url, protocol=2) as client,
    ):
        client.set("a", b"blob")
        assert client.mget("a") == [b"blob"]
        assert proxy.touched().changed == 0
        proxy.set(Conditions(replies="longer"))
        assert client.mget("a") == [b"blob", None]
        assert proxy.set(Conditions()).changed == 1
        assert client.mget("a") == [b"blob"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, proxy.port))
