"""People who ask at a constant rate, whatever the service is doing, and their answers.

Requests leave on a schedule that no answer can delay. Latency counts from the schedule, so a stall counts for
everybody who came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter

from loadtest.bench.connection import Connection
from loadtest.promotion.questions import Question
from loadtest.promotion.workers import connect_to_each

GRACE_SECONDS = 10.0
POLL_SECONDS = 0.005
N_CONNECTIONS = 16
"""Number of connections to each worker."""

_VERSION = b'"version":"'


@dataclass(frozen=True)
class Answered:
    """One request and its answer.

    due_at, done_at: seconds on `perf_counter`. question: its position. is_ok: status 200. body: b"" if the connection
    broke.
    """

    due_at: float
    done_at: float
    question: int
    is_ok: bool
    body: bytes

    @property
    def latency_ms(self) -> float:
        """Latency, counted from the moment it was due."""
        return 1000 * (self.done_at - self.due_at)


@dataclass(frozen=True)
class Target:
    """A service: its port, and the processes behind it. heavy: a question that keeps one of them busy."""

    port: int
    workers: tuple[int, ...]
    heavy: Question


class Traffic:
    """Sends while it is not paused. rate: requests per second, at exponential intervals."""

    def __init__(self, target: Target, questions: Sequence[Question], rate: float, seed: int) -> None:
        self._target = target
        self._requests = [question.request for question in questions]
        self._rate = rate
        self._random = Random(seed)
        self._idle: deque[Connection] = deque()
        self._under_way: dict[Connection, tuple[float, int]] = {}
        self._waiting: deque[tuple[float, int]] = deque()
        self._last_version: dict[Connection, bytes] = {}
        self._sending: asyncio.Task[None] | None = None
        self.answered: list[Answered] = []

    async def connect(self) -> None:
        """Connect to the workers; call it once, before anything else."""
        target, heavy = self._target, self._target.heavy.request
        self._idle.extend(await connect_to_each(target.port, target.workers, N_CONNECTIONS, self, heavy))

    def resume(self) -> None:
        """Start to send."""
        self._last_version.clear()
        self._sending = asyncio.create_task(self._send_all())

    async def pause(self) -> None:
        """Stop sending and wait for what is under way; requests without an answer by then have failed."""
        assert self._sending is not None
        self._sending.cancel()
        give_up_at = perf_counter() + GRACE_SECONDS
        while (self._under_way or self._waiting) and perf_counter() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        for due_at, question in (*self._under_way.values(), *self._waiting):
            self._note(due_at, question, False, b"")
        self._under_way.clear()
        self._waiting.clear()

    def disconnect(self) -> None:
        """Close all connections; call it while paused."""
        for connection in self._idle:
            connection.close()

    async def ask_in_turn(self) -> list[bytes]:
        """Ask each question once, in turn, while paused, and return bodies in the order of the questions."""
        n_before = len(self.answered)
        for question in range(len(self._requests)):
            self._send(perf_counter(), question)
            while self._under_way:  # noqa: ASYNC110 - and costs the service nothing
                await asyncio.sleep(0)
        return [answered.body for answered in self.answered[n_before:]]

    async def hear_only(self, version: str, at_most_seconds: float) -> None:
        """Return once the latest answer on every connection is this version's. Raises TimeoutError."""
        expected = version.encode()
        async with asyncio.timeout(at_most_seconds):
            n_connections = N_CONNECTIONS * len(self._target.workers)
            while len(self._last_version) < n_connections or set(self._last_version.values()) != {expected}:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)

    def last_moment_of(self, version: str, since: float) -> float:
        """Return when the last answer that names a version came; `since` if none came after that."""
        mark = _VERSION + version.encode()
        for answered in reversed(self.answered):
            if answered.done_at < since:
                break
            if mark in answered.body:
                return answered.done_at
        return since

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        """Record a whole reply, and send what waits for a connection."""
        due_at, question = self._under_way.pop(connection)
        self._note(due_at, question, is_ok, body)
        self._last_version[connection] = body.rpartition(_VERSION)[2].partition(b'"')[0] if is_ok else b""
        self._idle.append(connection)
        if self._waiting:
            self._send(*self._waiting.popleft())

    def lost(self, connection: Connection) -> None:
        """Count a request on a broken connection as failed."""
        if connection in self._under_way:
            self._note(*self._under_way.pop(connection), False, b"")
        elif connection in self._idle:
            self._idle.remove(connection)
        self._last_version.pop(connection, None)

    async def _send_all(self) -> None:
        due_at = perf_counter()
        while True:
            due_at += self._random.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due_at - perf_counter()))
            question = self._random.randrange(len(self._requests))
            if self._idle:
                self._send(due_at, question)
            else:
                self._waiting.append((due_at, question))

    def _send(self, due_at: float, question: int) -> None:
        connection = self._idle.popleft()
        self._under_way[connection] = (due_at, question)
        connection.send(self._requests[question])

    def _note(self, due_at: float, question: int, is_ok: bool, body: bytes) -> None:
        self.answered.append(Answered(due_at, perf_counter(), question, is_ok, body))
