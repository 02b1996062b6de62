"""Turns of requests that were there before the answer to the one before them was.

Few clients send so, and one that does keeps a worker as busy as it can: a hundred of them made others wait for
136 ms. So a few of these requests are at work at once, and all others are before them.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

PIPELINED_AT_ONCE = 2
"""Of a process."""


class Waiter(Protocol):
    """A connection with a request that is here already."""

    @property
    def waits_for_turn(self) -> bool:
        """It is still open, and waits."""

    def begin_turn(self) -> None:
        """Begin that request, at the loop's next turn."""


class Turns:
    """most: requests at work at once."""

    def __init__(self, most: int = PIPELINED_AT_ONCE) -> None:
        self._most = most
        self._n_at_work = 0
        self._waiting: deque[Waiter] = deque()

    def take(self, waiter: Waiter) -> bool:
        """Whether it is its turn at once; else `begin_turn` is called when it is."""
        if self._n_at_work < self._most and not self._waiting:
            self._n_at_work += 1
            return True
        self._waiting.append(waiter)
        return False

    def give_back(self) -> None:
        """Somebody's request is answered, or nothing comes of it."""
        self._n_at_work -= 1
        while self._waiting:
            following = self._waiting.popleft()
            if following.waits_for_turn:
                self._n_at_work += 1
                following.begin_turn()
                return
