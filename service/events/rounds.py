"""Work that goes on beside the requests: as soon as there is some, and once a second."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
FINISH_SECONDS = 3.0
"""How long a service that stops goes on with it; what is left stays on disk."""


class Rounds(ABC):
    """failing, over: what the log says when it begins to fail, with the reason, and when it goes on."""

    def __init__(self, *, failing: str, over: str) -> None:
        self._failing = failing
        self._over = over
        self._woken = asyncio.Event()
        self._trouble = ""

    @abstractmethod
    async def _round(self) -> bool:
        """Everything there is to do; whether it could be done."""

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            is_well = await self._round()
            if is_well:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def finish(self) -> None:
        """Once no more comes: this may be the last that anybody sees of this disk."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._round()

    def _say(self, trouble: str) -> None:
        """Log a change for the worse or the better once."""
        if trouble and not self._trouble:
            logger.warning("%s: %s", self._failing, trouble)
        elif self._trouble and not trouble:
            logger.info(self._over)
        self._trouble = trouble
