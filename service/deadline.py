"""The clock of one request: when it must be answered, and where its time went."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TypeVar

from service.errors import DeadlineExceeded

T = TypeVar("T")


class RequestClock:
    """Started when the request arrives. stages: seconds by stage, in the order they happened."""

    __slots__ = ("_expires_at", "_last_mark", "stages", "started_at")

    def __init__(self, budget_seconds: float = 1.0) -> None:
        self.started_at = self._last_mark = perf_counter()
        self._expires_at = self.started_at + budget_seconds
        self.stages: dict[str, float] = {}

    def mark(self, stage: str, *, minus: float = 0.0) -> None:
        """Book the time since the last mark to a stage; minus: seconds of it that belong elsewhere."""
        now = perf_counter()
        seconds = now - self._last_mark
        self.stages[stage] = seconds if not minus else max(0.0, seconds - minus)
        self._last_mark = now

    def set_budget(self, seconds: float) -> None:
        """The answer is due this long after now; reading and parsing the body is not counted against it."""
        self._expires_at = perf_counter() + seconds

    def with_budget(self, seconds: float) -> RequestClock:
        """A clock for one request of a batch, started now."""
        return RequestClock(seconds)

    def remaining(self) -> float:
        """Seconds until the answer is due; negative when it is overdue."""
        return self._expires_at - perf_counter()

    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return perf_counter() - self.started_at


async def wait_at_most(future: asyncio.Future[T], seconds: float) -> T:
    """Wait for a future that nobody else waits for.

    Raises DeadlineExceeded when the time is over. The future then holds that error, so whoever works on
    it sees that it is done and drops the work. A timer on the future costs 3 µs, `asyncio.wait_for` 20.
    """
    if seconds <= 0 and not future.done():
        future.cancel()
        raise DeadlineExceeded("no time was left")
    timer = asyncio.get_running_loop().call_later(seconds, _expire, future)
    try:
        return await future
    finally:
        timer.cancel()
        del future  # else its error, with this frame in the traceback, and the future would keep each other


def _expire(future: asyncio.Future[T]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the stage overran its slice of the deadline"))
