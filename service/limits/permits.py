"""How much may be at work at once. Counted on the event loop, so no lock is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from service.contract.errors import Overloaded

WINDOW_SECONDS = 0.05
"""Of answers, after which the limit is looked at."""

LEAST = 24
"""Requests that are let in however slow they are. So many of the slowest kind, 2 ms each, are answered within the
default deadline; and where few come, answers are slow for reasons of the machine, which refusing does not mend.
"""

SETTLED_SHARE = 0.8
"""Of the time aimed at; between it and the whole the limit stays as it is."""


class Permits:
    """most: requests at work at once. on_change: told the number after each change, for a gauge. aim_seconds: what an
    answer may take on average while many are at work; as long as they take longer, fewer are let in.

    limit: at the moment. n_taken: at the moment. n_ever_taken: since the start, one a request.
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
        """Raise Overloaded when none is left, before anything is read."""
        if self.n_taken >= self.limit:
            raise self.overloaded()

    def take_one(self) -> bool:
        """Hold one more, if one is left."""
        if self.n_taken >= self.limit:
            return False
        self.n_taken += 1
        self.n_ever_taken += 1
        self._on_change(self.n_taken)
        return True

    def take(self, n_permits: int = 1, *, held: int = 0) -> int:
        """Hold n_permits in place of the held ones, or raise Overloaded and change nothing.

        Returns how many are held now: never more than the limit, so that the largest batch is let in when
        it is alone.
        """
        wanted = min(n_permits, self.limit)
        if self.n_taken - held + wanted > self.limit:
            raise self.overloaded()
        self.n_taken += wanted - held
        self.n_ever_taken += not held
        self._on_change(self.n_taken)
        return wanted

    def give_back(self, n_permits: int) -> None:
        """Return what `take` returned."""
        self.n_taken -= n_permits
        self._on_change(self.n_taken)

    def answered(self, seconds: float, now: float, n_permits: int = 1) -> None:
        """Note how long an answer took; now and then, fit the limit to it."""
        self._n_answered += n_permits
        self._seconds_at_work += seconds * n_permits
        if now - self._window_began_at >= WINDOW_SECONDS and self._n_answered:
            self._fit(now)

    def _fit(self, now: float) -> None:
        """By Little's law, as many requests are at work as are answered a second, times the seconds that each takes:
        so they take what is aimed at where as many are let in as are answered in that time.
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
        """What is said to who gets none."""
        return Overloaded(f"{self.limit} requests are at work, which is the limit; try again in a second")


class BodyBytes:
    """limit: bytes of bodies that are held at once, each from its first piece until it is answered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.n_held = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """For one body: called with the bytes of each piece, it raises Overloaded where all bodies together would be
        too many. At the end they are given back.
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
