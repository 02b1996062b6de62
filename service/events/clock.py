"""Tells when something was received: the machine's clock, as far as it can be believed.

A machine's clock is reset now and then. It is therefore compared with the time since the machine was started, which
nobody resets. A step of up to MAX_STEP_MS is followed, but never backwards. A larger jump, in either direction, is
believed once it has lasted BELIEVED_AFTER_MS; until then time goes on as before. So one wrong moment affects no
event, and a clock that was wrong for a long time recovers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime_ns, time_ns

logger = logging.getLogger(__name__)

MAX_STEP_MS = 300_000
"""The same bound as for events from clients, which are rejected if they lie further ahead."""

BELIEVED_AFTER_MS = 60_000


def _since_start_ns() -> int:
    return clock_gettime_ns(CLOCK_BOOTTIME)


class ReceivingClock:
    """Gives Unix milliseconds. now_ns: the machine's clock. since_start_ns: a clock that nobody resets. Both return
    nanoseconds and may start anywhere.
    """

    def __init__(
        self, now_ns: Callable[[], int] = time_ns, since_start_ns: Callable[[], int] = _since_start_ns
    ) -> None:
        self._now_ns = now_ns
        self._since_start_ns = since_start_ns
        self._offset_ms = self._said_ms() - self._passed_ms()
        self._doubted: tuple[int, int] | None = None
        """The offset of a jump that is not believed yet, and when it was first seen; None if there is none."""
        self._latest_ms = 0

    def received_ms(self) -> int:
        """Return the present time; if the clock stepped back a little, the last answer again."""
        self._latest_ms = max(self._present_ms(), self._latest_ms)
        return self._latest_ms

    def later_ms(self) -> int:
        """Return the present time, but later than any answer before."""
        self._latest_ms = max(self._present_ms(), self._latest_ms + 1)
        return self._latest_ms

    def not_before(self, milliseconds: int) -> None:
        """Note that something was received at this time, maybe by an earlier process. A time too far ahead comes from
        another clock's error and is ignored.
        """
        if milliseconds <= self._present_ms() + MAX_STEP_MS:
            self._latest_ms = max(self._latest_ms, milliseconds)

    def _present_ms(self) -> int:
        passed_ms = self._passed_ms()
        offset_ms = self._said_ms() - passed_ms
        if abs(offset_ms - self._offset_ms) <= MAX_STEP_MS:
            self._offset_ms, self._doubted = offset_ms, None
        elif self._doubted is None or abs(offset_ms - self._doubted[0]) > MAX_STEP_MS:
            self._doubted = (offset_ms, passed_ms)
            logger.error(
                "the clock jumped by %.1f hours; it is not believed before it has said so for %d seconds",
                self._jump_hours(offset_ms),
                BELIEVED_AFTER_MS // 1000,
            )
        elif passed_ms - self._doubted[1] >= BELIEVED_AFTER_MS:
            logger.error("the clock is believed again, %.1f hours from before", self._jump_hours(offset_ms))
            self._latest_ms += (
                offset_ms - self._offset_ms
            )  # backwards too; what was held is of the time before
            self._offset_ms, self._doubted = offset_ms, None
        return passed_ms + self._offset_ms

    def _jump_hours(self, offset_ms: int) -> float:
        return (offset_ms - self._offset_ms) / 3_600_000

    def _said_ms(self) -> int:
        return self._now_ns() // 1_000_000

    def _passed_ms(self) -> int:
        return self._since_start_ns() // 1_000_000
