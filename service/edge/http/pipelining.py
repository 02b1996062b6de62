"""Gives turns to pipelined requests: those that arrive before the answer to the previous one.

Only a few pipelined requests are at work at once, and all other requests go before them.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

PIPELINED_AT_ONCE = 2
"""How many pipelined requests a process works on at once. Few clients pipeline, and one that does keeps a worker
fully busy: a hundred of them, all at work, made others wait for 136 ms.
"""


class Waiter(Protocol):
    """A connection whose next request has already arrived."""

    @property
    def waits_for_turn(self) -> bool:
        """Whether it is still open and waits."""

    def begin_turn(self) -> None:
        """Begin the request at the event loop's next turn."""


class Turns:
    """most: how many requests may be at work at once."""

    def __init__(self, most: int = PIPELINED_AT_ONCE) -> None:
        self._most = most
        self._n_at_work = 0
        self._waiting: deque[Waiter] = deque()

    def take(self, waiter: Waiter) -> bool:
        """Return True if its turn is now; otherwise `begin_turn` is called when it is."""
        if self._n_at_work < self._most and not self._waiting:
            self._n_at_work += 1
            return True
        self._waiting.append(waiter)
        return False

    def give_back(self) -> None:
        """Note that a request has been answered or abandoned, and start the next one."""
        self._n_at_work -= 1
        while self._waiting:
            following = self._waiting.popleft()
            if following.waits_for_turn:
                self._n_at_work += 1
                following.begin_turn()
                return
