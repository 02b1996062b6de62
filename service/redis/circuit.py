"""The circuit breaker before Redis: after failures in a row no trip is tried for a while, then a single one is."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from time import monotonic

from service.contract.errors import RedisUnavailable


class CircuitState(IntEnum):
    """The states; their numbers are the values of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Circuit:
    """max_failures in a row open it; after open_seconds one trip may try, and its outcome closes or reopens it."""

    def __init__(
        self,
        max_failures: int,
        open_seconds: float,
        *,
        clock: Callable[[], float] = monotonic,
        on_change: Callable[[CircuitState], object] = lambda state: None,
    ) -> None:
        self._max_failures = max_failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._on_change = on_change
        self._n_failures = 0
        self._paused_at = 0.0
        self.state = CircuitState.CLOSED
        self.came_back: bool | None = None
        """Whether the latest trip returned; None before the first."""

    def check(self) -> None:
        """Raise RedisUnavailable while open. The first check after the pause passes and half-opens it.

        A trial whose request was given up never reports back, so after another pause the next one tries.
        """
        if self.state is CircuitState.CLOSED:
            return
        now = self._clock()
        if now - self._paused_at >= self._open_seconds:
            self._paused_at = now
            self._change(CircuitState.HALF_OPEN)
            return
        raise RedisUnavailable("the circuit to Redis is open after failures")

    def succeeded(self) -> None:
        """Note that a trip returned."""
        self.came_back = True
        self._n_failures = 0
        self._change(CircuitState.CLOSED)

    def failed(self) -> None:
        """Note that a trip failed or timed out."""
        self.came_back = False
        self._n_failures += 1
        if self.state is CircuitState.HALF_OPEN or self._n_failures >= self._max_failures:
            self._paused_at = self._clock()
            self._change(CircuitState.OPEN)

    def _change(self, state: CircuitState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(state)
