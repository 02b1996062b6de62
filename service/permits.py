"""How many requests may be at work at once. Counted on the event loop, so no lock is needed."""

from __future__ import annotations

from collections.abc import Callable

from service.errors import Overloaded


class Permits:
    """limit: requests at work at once. on_change: told the number after each change, for a gauge.

    n_taken: at the moment. n_ever_taken: since the start, one a request.
    """

    def __init__(self, limit: int, on_change: Callable[[int], object] = lambda n_taken: None) -> None:
        self._limit = limit
        self._on_change = on_change
        self.n_taken = 0
        self.n_ever_taken = 0

    def check(self) -> None:
        """Raise Overloaded when none is left, before anything is read."""
        if self.n_taken >= self._limit:
            raise self._overloaded()

    def take(self, n_permits: int = 1, *, held: int = 0) -> int:
        """Hold n_permits in place of the held ones, or raise Overloaded and change nothing.

        Returns how many are held now: never more than the limit, so that the largest batch is let in when
        it is alone.
        """
        wanted = min(n_permits, self._limit)
        if self.n_taken - held + wanted > self._limit:
            raise self._overloaded()
        self.n_taken += wanted - held
        self.n_ever_taken += not held
        self._on_change(self.n_taken)
        return wanted

    def give_back(self, n_permits: int) -> None:
        """Return what `take` returned."""
        self.n_taken -= n_permits
        self._on_change(self.n_taken)

    def _overloaded(self) -> Overloaded:
        return Overloaded(f"{self._limit} requests are at work, which is the limit; try again in a second")
