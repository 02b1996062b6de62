"""Decides when Python collects garbage: young objects as usual, old ones when no request waits.

Reference counts free what a request used; the collector is for the rest, such as a connection that broke in the
middle of a request. Old objects are walked in a quiet moment, and once an hour in a service that never rests.
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
"""How many objects trigger a collection of the youngest, and how many of those one of the next: 1.7 ms for 2,800."""

NEVER = 2**31 - 1

LOOK_SECONDS = 1.0
AT_LATEST_SECONDS = 3600.0


class OldGarbage:
    """n_requests: returns how many there have been; a moment is quiet if none came since the last look."""

    def __init__(self, n_requests: Callable[[], int], clock: Callable[[], float] = monotonic) -> None:
        self._n_requests = n_requests
        self._clock = clock
        self._n_at_last_look = n_requests()
        self._collected_at = clock()

    @asynccontextmanager
    async def collected_in_quiet_moments(self) -> AsyncIterator[None]:
        """Keep Python from collecting old objects by itself while inside."""
        thresholds = gc.get_threshold()
        # A full collection walks all old objects, many where people are cached: 0.4 s for 200,000 people of six
        # objects each, which delays requests. Python would start one whenever the cache has grown by a quarter.
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
        """Collect if it is due; return whether it was."""
        n_requests = self._n_requests()
        is_quiet = n_requests == self._n_at_last_look
        self._n_at_last_look = n_requests
        has_news = gc.get_count()[2] > 0  # some objects have become old since the last collection
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
