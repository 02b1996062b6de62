"""How much may be at work at once. Counted on the event loop, so no lock is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import Overloaded


class Permits:
    """limit: requests at work at once. on_change: told the number after each change, for a gauge.

    n_taken: at the moment. n_ever_taken: since the start, one a request.
    """

    def __init__(self, limit: int, on_change: Callable[[int], object] = lambda n_taken: None) -> None:
        self.limit = limit
        self._on_change = on_change
        self.n_taken = 0
        self.n_ever_taken = 0

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
