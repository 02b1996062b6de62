"""Whether what Redis holds of people is all that is known of them, after it lost what it had or was away.

Another Redis than before, one that was emptied, or one that was away for longer than a moment lacks what people did
until each replica has merged again what its spool holds. So answers say for as long that they may be of before: until
this replica is done, no other one says that it is not, and all others have had the time to notice. A trip that
is refused, cut off or garbled here may be so elsewhere, where none can then write what they merge: that is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

RECOVERING = "redis_recovering"
"""What `degraded` says."""

SETTLE_SECONDS = 3.0
"""Three times as long as the longest pause between two looks of a replica at Redis."""

AWAY_SECONDS = 1.0
"""Without an answer of Redis for longer than this, others may have merged what it does not hold yet."""


class Recovery:
    """degraded: why answers from Redis may be of before, None if they are not. clock: seconds of any beginning."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.degraded: str | None = None
        self._clock = clock
        self._begun_at = 0.0
        self._calls: list[Callable[[], object]] = []

    def call_at_each_beginning(self, call: Callable[[], object]) -> None:
        """call: at once when one begins."""
        self._calls.append(call)

    def begin(self) -> None:
        """Redis may lack what people did; also while it is so already."""
        self.degraded = RECOVERING
        self._begun_at = self._clock()
        for call in self._calls:
            call()

    def go_on(self) -> None:
        """There is reason to begin, if it is not so already."""
        if self.degraded is None:
            self.begin()
        self._begun_at = self._clock()

    def end(self) -> None:
        """This replica has merged again what it knows, and no other one says that it has not; it ends once all others
        have had the time to say so.
        """
        if self._clock() - self._begun_at >= SETTLE_SECONDS:
            self.degraded = None
