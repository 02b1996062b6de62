"""When something was received, by a clock that never goes back while the process lives."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns


class ReceivingClock:
    """Unix milliseconds. now_ns: where they come from."""

    def __init__(self, now_ns: Callable[[], int] = time_ns) -> None:
        self._now_ns = now_ns
        self._latest_ms = 0

    def received_ms(self) -> int:
        """Now, or a little later than the last answer where the machine's clock stepped back."""
        self._latest_ms = max(self._now_ns() // 1_000_000, self._latest_ms)
        return self._latest_ms

    def after(self, milliseconds: int) -> int:
        """Later than this moment, and than any before."""
        self.not_before(milliseconds + 1)
        return self.received_ms()

    def not_before(self, milliseconds: int) -> None:
        """Something was received then, maybe by a process before this one."""
        self._latest_ms = max(self._latest_ms, milliseconds)
