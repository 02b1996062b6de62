"""Tells whether Redis knows all that is known of people, after it lost what it had or was away.

A new Redis, an emptied one, or one that was away for more than a moment lacks events until each replica has merged
again what its spool holds. Meanwhile answers say that they may be outdated: until this replica is done, no other one
says that it is behind, and all others have had the time to notice. A trip that is refused, cut off or garbled here
counts too, since other replicas may meet the same and then cannot write what they merge.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

RECOVERING = "redis_recovering"
"""The value of `degraded` during a recovery."""

SETTLE_SECONDS = 3.0
"""Three times the longest pause between two looks of a replica at Redis."""

AWAY_SECONDS = 1.0
"""If Redis does not answer for longer than this, others may have merged events that it does not hold yet."""


class Recovery:
    """degraded: why answers may be outdated; None if they are not. clock: returns seconds and may start anywhere."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.degraded: str | None = None
        self._clock = clock
        self._begun_at = 0.0
        self._calls: list[Callable[[], object]] = []

    def call_at_each_beginning(self, call: Callable[[], object]) -> None:
        """Register a function that is called at once whenever a recovery begins."""
        self._calls.append(call)

    def begin(self) -> None:
        """Begin a recovery, or begin it again: Redis may lack events."""
        self.degraded = RECOVERING
        self._begun_at = self._clock()
        for call in self._calls:
            call()

    def go_on(self) -> None:
        """Begin a recovery unless one is under way; in either case its time starts anew."""
        if self.degraded is None:
            self.begin()
        self._begun_at = self._clock()

    def end(self) -> None:
        """End the recovery, once other replicas have had the time to say that they are behind.

        Called when this replica has merged all it knows, and no other one says that it is behind.
        """
        if self._clock() - self._begun_at >= SETTLE_SECONDS:
            self.degraded = None
