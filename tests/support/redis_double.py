"""A server that speaks Redis's protocol and says what a test wants it to: what no real Redis can be made to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import hiredis

OK = b"+OK\r\n"
UNKNOWN = b"-ERR unknown command\r\n"
NOTHING = b"$-1\r\n"

USUAL: Mapping[str, bytes] = {
    "INFO": b"$31\r\nrun_id:1\r\nredis_mode:standalone\r\n",
    "HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n",
    "CLIENT": OK,
    "PING": b"+PONG\r\n",
}
"""By command. Anything else is unknown, unless a test says otherwise."""


class _Speaking(asyncio.Protocol):
    def __init__(self, replies: Mapping[str, bytes], transports: list[asyncio.Transport]) -> None:
        self._reader = hiredis.Reader()
        self._replies = replies
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._transports.append(transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            assert isinstance(command, list)
            name = command[0].decode()
            usual = USUAL.get(name, UNKNOWN)
            self._transport.write(self._replies.get(name, usual))


@asynccontextmanager
async def speaking(replies: Mapping[str, bytes]) -> AsyncIterator[str]:
    """A server with these replies by command, beside the usual ones; yields its URL. The replies may be changed."""
    transports: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: _Speaking(replies, transports), "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for transport in transports:
            transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)  # a transport, on either side, closes in one of the loop's next turns
