"""Permits limit how much is at work at once. They are counted on the event loop, so no lock is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from service.contract.errors import Overloaded

WINDOW_SECONDS = 0.05
"""The length of the window of answers after which the limit is adjusted."""

LEAST = 24
"""How many requests are let in however slow they are. This many of the slowest kind, 2 ms each, meet the default
deadline; and where few requests come, answers are slow because of the machine, which refusing does not mend.
"""

SETTLED_SHARE = 0.8
"""Between this share of the time aimed at and the whole of it, the limit stays as it is."""


class Permits:
    """most: how many requests may be at work at once. on_change: gets n_taken after each change, for a gauge.
    aim_seconds: the average time of an answer to aim at while many are at work; while they take longer, fewer are let
    in.

    limit, n_taken: the present values. n_ever_taken: how many requests have been let in since the start.
    """

    def __init__(
        self,
        most: int,
        on_change: Callable[[int], object] = lambda n_taken: None,
        *,
        aim_seconds: float = inf,
    ) -> None:
        self.limit = self._most = most
        self._on_change = on_change
        self._aim_seconds = aim_seconds
        self.n_taken = 0
        self.n_ever_taken = 0
        self._n_answered = 0
        self._seconds_at_work = 0.0
        self._window_began_at = 0.0

    def check(self) -> None:
        """Raise Overloaded if no permit is left, before anything is read."""
        if self.n_taken >= self.limit:
            raise self.overloaded()

    def take_one(self) -> bool:
        """Take one permit; return False if none is left."""
        if self.n_taken >= self.limit:
            return False
        self.n_taken += 1
        self.n_ever_taken += 1
        self._on_change(self.n_taken)
        return True

    def take(self, n_permits: int = 1, *, held: int = 0) -> int:
        """Take n_permits in place of the held ones, or raise Overloaded and change nothing.

        Returns how many are held now: never more than the limit, so that the largest batch is let in if it is alone.
        """
        wanted = min(n_permits, self.limit)
        if self.n_taken - held + wanted > self.limit:
            raise self.overloaded()
        self.n_taken += wanted - held
        self.n_ever_taken += not held
        self._on_change(self.n_taken)
        return wanted

    def give_back(self, n_permits: int) -> None:
        """Return the permits that `take` returned."""
        self.n_taken -= n_permits
        self._on_change(self.n_taken)

    def answered(self, seconds: float, now: float, n_permits: int = 1) -> None:
        """Note how long an answer took; after each window, adjust the limit."""
        self._n_answered += n_permits
        self._seconds_at_work += seconds * n_permits
        if now - self._window_began_at >= WINDOW_SECONDS and self._n_answered:
            self._fit(now)

    def _fit(self, now: float) -> None:
        """Adjust the limit by Little's law: the requests at work are those answered per second times seconds each.

        So answers take the time aimed at if as many requests are let in as are answered in that time.
        """
        window_seconds = now - self._window_began_at
        n_at_work = self._seconds_at_work / window_seconds
        seconds = self._seconds_at_work / self._n_answered
        if seconds > self._aim_seconds and n_at_work > LEAST:
            fitting = max(LEAST, int(self._n_answered / window_seconds * self._aim_seconds))
            is_full = (
                2 * n_at_work > self.limit
            )  # else it may have been one stall, after which few were answered
            self.limit = min(self.limit, fitting if is_full else max(fitting, self.limit // 2))
        elif seconds < SETTLED_SHARE * self._aim_seconds:
            self.limit = min(self._most, self.limit + 1 + self.limit // 4)
        self._window_began_at, self._n_answered, self._seconds_at_work = now, 0, 0.0

    def overloaded(self) -> Overloaded:
        """Return the error for a request that gets no permit."""
        return Overloaded(f"{self.limit} requests are at work, which is the limit; try again in a second")


class BodyBytes:
    """limit: bytes of request bodies held at once; each counts from its first piece until its request is answered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.n_held = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Hold the bytes of one body. Call the result with the size of each piece; it raises Overloaded if all bodies
        together would exceed the limit. At the end the bytes are released.
        """
        n_own = 0

        def hold(n_bytes: int) -> None:
            nonlocal n_own
            if self.n_held + n_bytes > self._limit:
                raise Overloaded(
                    f"requests with bodies of {self.n_held:,} bytes are at work, at most {self._limit:,} are held "
                    "together; try again in a second"
                )
            self.n_held += n_bytes
            n_own += n_bytes

        try:
            yield hold
        finally:
            self.n_held -= n_own
