"""A server that says what a test wants, to whatever is sent to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from loadtest.servers import HOST

Says = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: Any, kind: str = "application/json") -> bytes:
    """A whole one."""
    encoded = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


@asynccontextmanager
async def serving(says: Says) -> AsyncIterator[int]:
    """Its port. says: called with each connection."""
    connections: set[asyncio.Task[Any]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await says(reader, writer)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # the client has had enough, or the test is over
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        if connections:
            await asyncio.wait(list(connections))
        await asyncio.sleep(0)


def always(said: bytes) -> Says:
    """The same to every request."""

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_from(reader):
            writer.write(said)

    return says


async def request_from(reader: asyncio.StreamReader) -> bytes:
    """One request with its body; b"" at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    return head + await reader.readexactly(length)
