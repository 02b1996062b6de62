"""Odd but honest ways to ask, and one dishonest: each exchange has a right answer."""

from __future__ import annotations

import asyncio

from loadtest.faults.hostile.attack import READ_BYTES, Attack, request

N_CLIENTS = 4
N_PIPELINING = 100
H2C = (
    "connection: Upgrade, HTTP2-Settings",
    "upgrade: h2c",
    "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA",
)
GARBAGE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP at all\r\n\r\n"


async def byte_by_byte(attack: Attack) -> None:
    """Whole requests, a byte a segment."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            for byte in request(attack.question()):
                await attack.send(writer, bytes([byte]))
                await asyncio.sleep(0)
            await _expect(attack, reader, 200, "a request that came byte by byte")

    await attack.by_many(N_CLIENTS, client)


async def half_closed(attack: Attack) -> None:
    """A request, and then FIN: the client has said all it will and waits."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question()))
            writer.write_eof()
            await _expect(attack, reader, 200, "a request with a FIN behind it")

    await attack.by_many(N_CLIENTS, client)


async def h2c(attack: Attack) -> None:
    """A request with an offer to go on in HTTP/2, as Java's own client makes it."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question(), *H2C))
            await _expect(attack, reader, 200, "a request that offers h2c")

    await attack.by_many(N_CLIENTS, client)


async def garbage_behind(attack: Attack) -> None:
    """A valid request with bytes behind it that are none: the request has its answer, then the bytes have theirs."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question()) + GARBAGE)
            await _expect(attack, reader, 200, "a valid request with garbage behind it")

    await attack.by_many(N_CLIENTS, client)


async def never_reading(attack: Attack) -> None:
    """Requests without an end, whose answers are never read."""
    whole = request(attack.question(limit=100))
    many = whole * (READ_BYTES // len(whole))

    async def client() -> None:
        async with attack.connected() as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            while not attack.is_over:
                await attack.send(writer, many)

    await attack.by_many(N_PIPELINING, client)


async def bad_line(attack: Attack) -> None:
    """Good requests over a line that is bad: a request may come to nothing, but the service never fails."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question()))
            status, _ = await attack.receive(reader)
            if status >= 500:
                attack.was_unexpected(f"a request over a bad line was answered with {status}")

    await attack.by_many(2 * N_CLIENTS, client)


async def _expect(attack: Attack, reader: asyncio.StreamReader, expected: int, what: str) -> None:
    status, body = await attack.receive(reader)
    if status != expected:
        attack.was_unexpected(f"{what} was answered with {status or 'nothing'} {body[:80].decode('latin-1')}")
