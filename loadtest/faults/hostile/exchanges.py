"""Exchanges that have a right answer: odd but honest ways to ask, and one dishonest."""

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
    """Send whole requests, one byte per segment."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            for byte in request(attack.question()):
                await attack.send(writer, bytes([byte]))
                await asyncio.sleep(0)
            await _expect(attack, reader, 200, "a request that came byte by byte")

    await attack.by_many(N_CLIENTS, client)


async def half_closed(attack: Attack) -> None:
    """Send a request and then FIN: the client has nothing more to send, and waits."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question()))
            writer.write_eof()
            await _expect(attack, reader, 200, "a request with a FIN behind it")

    await attack.by_many(N_CLIENTS, client)


async def h2c(attack: Attack) -> None:
    """Send a request with an offer to continue in HTTP/2, as Java's own client does."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question(), *H2C))
            await _expect(attack, reader, 200, "a request that offers h2c")

    await attack.by_many(N_CLIENTS, client)


async def garbage_behind(attack: Attack) -> None:
    """Send a valid request with invalid bytes behind it: first the request is answered, then the bytes."""

    async def client() -> None:
        async with attack.connected() as (reader, writer):
            await attack.send(writer, request(attack.question()) + GARBAGE)
            await _expect(attack, reader, 200, "a valid request with garbage behind it")

    await attack.by_many(N_CLIENTS, client)


async def never_reading(attack: Attack) -> None:
    """Send requests without end, and never read their answers."""
    whole = request(attack.question(limit=100))
    many = whole * (READ_BYTES // len(whole))

    async def client() -> None:
        async with attack.connected() as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            while not attack.is_over:
                await attack.send(writer, many)

    await attack.by_many(N_PIPELINING, client)


async def bad_line(attack: Attack) -> None:
    """Send good requests over a bad line: a request may get no answer, but the service must never fail."""

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
