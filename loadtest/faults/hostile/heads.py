"""Heads and bodies of requests that are too long, too slow, or never come."""

from __future__ import annotations

import asyncio

from loadtest.faults.hostile.attack import Attack, request

CHUNK_BYTES = 65_536
MANY_BYTES = 100 * 2**20
BOUND_BYTES = 16 * 2**20
"""Bytes that may leave before a client sees that it is cut off: system buffers hold several megabytes."""

N_SLOW = 300
N_SILENT = 600
SLOW_SECONDS = 1.0
"""Pause between two bytes."""

START = b"POST /recommend HTTP/1.1\r\nhost: hostile\r\n"


async def endless_head(attack: Attack) -> None:
    """Send header lines without end on one connection."""
    line = b"x-more: " + b"a" * 100 + b"\r\n"
    await _pour(attack, line * (CHUNK_BYTES // len(line)))


async def giant_header(attack: Attack) -> None:
    """Send one header value without end."""
    await _pour(attack, b"a" * CHUNK_BYTES, start=b"x-giant: ")


async def _pour(attack: Attack, chunk: bytes, start: bytes = b"") -> None:
    async def client() -> None:
        sent_before = attack.seen.sent_bytes
        async with attack.connected() as (_, writer):
            await attack.send(writer, START + start)
            try:
                while attack.seen.sent_bytes - sent_before < MANY_BYTES and not attack.is_over:
                    await attack.send(writer, chunk)
            finally:
                taken = attack.seen.sent_bytes - sent_before
                if taken > BOUND_BYTES:
                    attack.was_unexpected(f"more than {BOUND_BYTES >> 20} MiB of one head were taken")
        await asyncio.sleep(0.1)

    await attack.by_many(1, client)


async def slow_heads(attack: Attack) -> None:
    """Send heads byte by byte, one per second."""

    async def client() -> None:
        async with attack.connected() as (_, writer):
            await attack.send(writer, START)
            while not attack.is_over:
                await attack.send(writer, b"x")
                await asyncio.sleep(SLOW_SECONDS)

    await attack.by_many(N_SLOW, client)


async def slow_bodies(attack: Attack) -> None:
    """Send bodies byte by byte, one per second."""
    whole = request(attack.question(limit=10))

    async def client() -> None:
        async with attack.connected() as (_, writer):
            head_end = whole.index(b"\r\n\r\n") + 4
            await attack.send(writer, whole[:head_end])
            for byte in whole[head_end:]:
                if attack.is_over:
                    break
                await attack.send(writer, bytes([byte]))
                await asyncio.sleep(SLOW_SECONDS)

    await attack.by_many(N_SLOW, client)


async def silent(attack: Attack) -> None:
    """Open connections on which nothing is ever sent."""

    async def client() -> None:
        async with attack.connected() as (reader, _):
            async with asyncio.timeout(attack.left_seconds):
                await reader.read(1)
        await asyncio.sleep(0.2)  # it was closed or refused, so try again

    await attack.by_many(N_SILENT, client)
