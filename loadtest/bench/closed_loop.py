"""The closed loop: each connection sends its next request as soon as it has its answer, so the server saturates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from loadtest.bench.connection import Connection, connect
from loadtest.servers import HOST

SAMPLE_EVERY = 97
"""One reply in this many is kept to be parsed after the round; a prime, so that it hits all requests of a cycle."""

DRAIN_SECONDS = 60.0


@dataclass
class ClosedResult:
    """The result of one round. Requests that are under way when the time is over are waited for and count.

    n_in_time: answers within the round's time, from which the rate is made. seconds: until the last answer.
    n_failed: replies with a status other than 200, and broken connections. n_unmarked: 200s without the mark.
    """

    n_replies: int = 0
    n_in_time: int = 0
    n_failed: int = 0
    n_unmarked: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds
    samples: list[bytes] = field(default_factory=list)


class ClosedLoop:
    """A closed loop over connections.

    requests: bytes to send, in order; the round ends early if they run out. mark: bytes in every good body.
    """

    def __init__(
        self,
        requests: Iterator[bytes],
        seconds: float,
        mark: bytes = b"",
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.result = ClosedResult()
        self.done = asyncio.Event()
        self._requests = requests
        self._seconds = seconds
        self._mark = mark
        self._clock = clock
        self._n_busy = 0
        self._started_at = self._stop_at = 0.0

    def begin(self, connections: list[Connection]) -> None:
        """Start the clock and send the first request of each connection."""
        self._started_at = self._clock()
        self._stop_at = self._started_at + self._seconds
        self._n_busy = len(connections)
        for connection in connections:
            self._send_next(connection)

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Record an answer, and send the next request."""
        result, now = self.result, self._clock()
        result.n_replies += 1
        if not is_ok:
            result.n_failed += 1
        elif self._mark not in body:
            result.n_unmarked += 1
        result.latencies.append(now - connection.sent_at)
        if result.n_replies % SAMPLE_EVERY == 1:
            result.samples.append(body)
        if now < self._stop_at:
            result.n_in_time += 1
            self._send_next(connection)
        else:
            self._rest()

    def lost(self, connection: Connection) -> None:
        """Count a broken connection as a failed request; after the end, it is only closed."""
        if not self.done.is_set():
            self.result.n_failed += 1
            self._rest()

    def _send_next(self, connection: Connection) -> None:
        request = next(self._requests, None)
        if request is None:
            self._rest()
            return
        connection.sent_at = self._clock()
        connection.send(request)

    def _rest(self) -> None:
        self._n_busy -= 1
        if self._n_busy == 0:
            self.result.seconds = self._clock() - self._started_at
            self.done.set()


async def run_closed_loop(
    port: int, requests: Iterator[bytes], seconds: float, n_connections: int, mark: bytes = b""
) -> ClosedResult:
    """Run one round against a server on this machine. Raises TimeoutError if the server stops answering."""
    loop = ClosedLoop(requests, seconds, mark)
    connections = await connect(HOST, port, n_connections, loop)
    try:
        loop.begin(connections)
        async with asyncio.timeout(seconds + DRAIN_SECONDS):
            await loop.done.wait()
    finally:
        loop.done.set()
        for connection in connections:
            connection.close()
    return loop.result
