"""The connections of one client: they are kept open, opened again if they break, and never waited on without limit.

Nothing is sent twice, because the drill measures what happened to the first attempt.
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
"""The longest wait for an answer: a hundred deadlines; after it the question counts as unanswered."""

N_AT_ONCE = 128
N_TO_EACH = 4
"""Number of connections to each worker at the start, so that both get questions."""

REFUSED = "connection refused"
LOST = "connection lost"
CUT = "connection lost within an answer"
LATE = f"no answer in {ANSWER_SECONDS:g} s"


class Reply(NamedTuple):
    """A reply. status: 0 if there was none; then `fault` says why."""

    status: int
    body: bytes
    fault: str = ""


class Lane:
    """The connections of one client. port: of the service. opens_anew: each request has its own connection."""

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
        """Send one request, and return its reply or its fault."""
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
        """Close all connections; call it once no question is sent any more."""
        for connection in [*self._idle, *self._waiting]:
            connection.close()
        self._idle.clear()

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Pass on a whole reply that came."""
        waiting = self._waiting.pop(connection, None)
        if waiting is None or waiting.done():
            connection.close()  # no question is open, or nobody still waits
            return
        waiting.set_result(Reply(int(connection.reply[9:12]), body))
        if self._opens_anew:
            connection.close()
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that was lost."""
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
