"""When Python looks for garbage: for young objects as ever, for old ones when nobody waits.

Reference counts free what a request used; the collector is for the rest, such as a connection that broke in the
middle of a request. It walks all old objects to find it, and they are many where people are cached: 0.4 s for 200,000
people of six objects each, in the way of whoever asks just then, every time the cache has grown by a quarter.
So old objects are walked in a quiet moment, and in a service that never rests once an hour.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic, perf_counter

logger = logging.getLogger(__name__)

YOUNG_THRESHOLDS = (700, 3)
"""Objects that make a collection of the youngest, such collections that make one of the next: 1.7 ms for 2,800."""

NEVER = 2**31 - 1

LOOK_SECONDS = 1.0
AT_LATEST_SECONDS = 3600.0


class OldGarbage:
    """n_requests: how many there ever were; a moment is quiet if they are as many as at the last look."""

    def __init__(self, n_requests: Callable[[], int], clock: Callable[[], float] = monotonic) -> None:
        self._n_requests = n_requests
        self._clock = clock
        self._n_at_last_look = n_requests()
        self._collected_at = clock()

    @asynccontextmanager
    async def collected_in_quiet_moments(self) -> AsyncIterator[None]:
        """Inside, Python does not collect old objects by itself."""
        thresholds = gc.get_threshold()
        gc.set_threshold(*YOUNG_THRESHOLDS, NEVER)
        looking = asyncio.create_task(self._look_again_and_again())
        try:
            yield
        finally:
            gc.set_threshold(*thresholds)
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    def look(self) -> bool:
        """Collect if it is time to; says whether it did."""
        n_requests = self._n_requests()
        is_quiet = n_requests == self._n_at_last_look
        self._n_at_last_look = n_requests
        has_news = gc.get_count()[2] > 0  # young objects have grown old since the last time
        if not has_news or not (is_quiet or self._clock() - self._collected_at >= AT_LATEST_SECONDS):
            return False
        started_at = perf_counter()
        n_unreachable = gc.collect()
        self._collected_at = self._clock()
        paused_ms = round(1000 * (perf_counter() - started_at), 1)
        logger.debug("old garbage collected", extra={"n_unreachable": n_unreachable, "paused_ms": paused_ms})
        return True

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()
