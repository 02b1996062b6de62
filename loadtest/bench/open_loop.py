"""The open loop: requests leave on a schedule that no answer can delay, and latency counts from the schedule.

A closed loop stops asking while the server stalls, so that a stall counts as one slow answer. Here all requests that
were due in the meantime have waited too, and are counted ("coordinated omission", Gil Tene).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from loadtest.bench.connection import Connection, connect
from loadtest.servers import HOST
from loadtest.verdict import percentile

GRACE_SECONDS = 5.0
"""Time after the last departure; requests without an answer by then have failed."""

N_CONNECTIONS = 512
"""Number of connections: enough that a stall of 50 ms at 10,000 requests a second does not delay any departure."""


@dataclass
class OpenResult:
    """The result of one stretch.

    latencies: seconds from the scheduled moment to the whole reply. lags: seconds from the scheduled moment to the
    write, due to the client's own lateness or the lack of a free connection.
    """

    n_scheduled: int
    n_failed: int = 0
    n_unmarked: int = 0
    latencies: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


class OpenLoop:
    """An open loop over connections. due: (n,) ascending seconds after the start. requests: at least as many."""

    def __init__(
        self,
        due: Sequence[float],
        requests: Iterator[bytes],
        mark: bytes = b"",
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.result = OpenResult(len(due))
        self.done = asyncio.Event()
        self._due = due
        self._requests = requests
        self._mark = mark
        self._clock = clock
        self._n_sent = 0
        self._n_closed = 0  # answered or failed
        self._idle: deque[Connection] = deque()
        self._started_at = 0.0

    def begin(self, connections: Sequence[Connection]) -> None:
        """Start the clock."""
        self._idle.extend(connections)
        self._started_at = self._clock()

    def send_due(self) -> bool:
        """Send due requests as far as connections are free; return False once everything has left."""
        now = self._clock() - self._started_at
        while self._n_sent < len(self._due) and self._due[self._n_sent] <= now and self._idle:
            connection = self._idle.popleft()
            connection.due_at = self._started_at + self._due[self._n_sent]
            connection.sent_at = self._clock()
            self.result.lags.append(connection.sent_at - connection.due_at)
            self._n_sent += 1
            connection.send(next(self._requests))
        return self._n_sent < len(self._due)

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Record an answer's latency from the moment at which it was due."""
        self.result.latencies.append(self._clock() - connection.due_at)
        if not is_ok:
            self.result.n_failed += 1
        elif self._mark not in body:
            self.result.n_unmarked += 1
        self._idle.append(connection)
        self._close_one()

    def lost(self, connection: Connection) -> None:
        """Count a request on a broken connection as failed; an idle connection is only removed."""
        if self.done.is_set():
            return
        if connection in self._idle:
            self._idle.remove(connection)
            return
        self.result.n_failed += 1
        self._close_one()

    def give_up(self) -> None:
        """Count requests without an answer, and those that never left, as failed."""
        self.result.n_failed += len(self._due) - self._n_closed
        self.done.set()

    def _close_one(self) -> None:
        self._n_closed += 1
        if self._n_closed == len(self._due):
            self.done.set()


def poisson_schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw departures in seconds from a Poisson process of this rate; equal seeds give equal departures."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(1 / rate, int(rate * seconds * 1.2) + 100)
    due = np.cumsum(gaps)
    return [float(moment) for moment in due[due < seconds]]


async def run_open_loop(
    port: int, due: Sequence[float], requests: Iterator[bytes], mark: bytes = b""
) -> OpenResult:
    """Send on schedule to a server on this machine.

    The event loop spins, because uvloop's timers tick in milliseconds; so the client needs a core of its own.
    """
    loop = OpenLoop(due, requests, mark)
    connections = await connect(HOST, port, N_CONNECTIONS, loop)
    try:
        loop.begin(connections)
        # An event would have to come from a timer, and timers are too coarse.
        while loop.send_due():  # noqa: ASYNC110
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await loop.done.wait()
        except TimeoutError:
            loop.give_up()
    finally:
        loop.done.set()
        for connection in connections:
            connection.close()
    return loop.result


def latency_figures(results: Sequence[OpenResult]) -> dict[str, Any]:
    """Compute percentiles over several stretches of one rate, in milliseconds, and the client's own lateness."""
    latencies = sorted(1000 * each for result in results for each in result.latencies)
    lags = sorted(1000 * each for result in results for each in result.lags)
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    return {
        **{name: round(percentile(latencies, share), 3) for name, share in shares.items()},
        "failures": sum(result.n_failed for result in results),
        "degraded": sum(result.n_unmarked for result in results),
        "requests": sum(result.n_scheduled for result in results),
        "client_lag_p99_ms": round(percentile(lags, 0.99), 3),
        "client_lag_max_ms": round(percentile(lags, 1.0), 3),
    }
