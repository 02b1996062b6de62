"""The connections of one client: kept open, opened again where they break, and never waited on for ever.

Nothing is sent twice: what became of the first attempt is what the drill wants to know.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.bench.connection import Connection, connect
from loadtest.promotion.workers import connect_to_each
from loadtest.servers import HOST

ANSWER_SECONDS = 5.0
"""A hundred deadlines; whoever has no answer by then gets none."""

N_AT_ONCE = 128
N_TO_EACH = 4
"""Connections that each worker begins with, so that both of them are asked."""

REFUSED = "connection refused"
LOST = "connection lost"
CUT = "connection lost within an answer"
LATE = f"no answer in {ANSWER_SECONDS:g} s"


class Reply(NamedTuple):
    """status: 0 where there was none, and then `fault` says why."""

    status: int
    body: bytes
    fault: str = ""


class Lane:
    """port: of the service. opens_anew: each request has a connection of its own."""

    def __init__(self, port: int, *, opens_anew: bool = False) -> None:
        self._port = port
        self._opens_anew = opens_anew
        self._idle: deque[Connection] = deque()
        self._waiting: dict[Connection, asyncio.Future[Reply]] = {}
        self._places = asyncio.Semaphore(N_AT_ONCE)

    async def open(self, workers: Sequence[int], heavy: bytes) -> None:
        """Connect to each worker. heavy: a request that keeps one busy."""
        if not self._opens_anew:
            self._idle.extend(await connect_to_each(self._port, workers, N_TO_EACH, self, heavy))

    async def ask(self, request: bytes) -> Reply:
        """Send one request; what came of it."""
        connection = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._places:
                connection = self._idle.popleft() if self._idle else await self._connected()
                return await self._exchange(connection, request)
        except TimeoutError:
            if connection is not None:
                connection.close()
            return Reply(0, b"", LATE)
        except OSError:
            return Reply(0, b"", REFUSED)

    def close(self) -> None:
        """Once nothing is asked any more."""
        for connection in [*self._idle, *self._waiting]:
            connection.close()
        self._idle.clear()

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """A whole reply came."""
        waiting = self._waiting.pop(connection, None)
        if waiting is None or waiting.done():
            connection.close()  # nobody asked, or nobody waits any more
            return
        waiting.set_result(Reply(int(connection.reply[9:12]), body))
        if self._opens_anew:
            connection.close()
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """It is used no more."""
        if connection in self._idle:
            self._idle.remove(connection)
        waiting = self._waiting.pop(connection, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(Reply(0, b"", CUT if connection.is_within_reply else LOST))

    async def _connected(self) -> Connection:
        [connection] = await connect(HOST, self._port, 1, self)
        return connection

    async def _exchange(self, connection: Connection, request: bytes) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[connection] = future
        connection.send(request)
        return await future
