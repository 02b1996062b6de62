"""Background work beside the requests: a round runs as soon as there is something to do, and once a second."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
FINISH_SECONDS = 3.0
"""How long a stopping service continues the work; what is left stays on disk."""


class Rounds(ABC):
    """failing, over: what the log says when rounds begin to fail (the reason follows) and when they succeed again."""

    def __init__(self, *, failing: str, over: str) -> None:
        self._failing = failing
        self._over = over
        self._woken = asyncio.Event()
        self._trouble = ""

    @abstractmethod
    async def _round(self) -> bool:
        """Do everything there is to do; return whether it succeeded."""

    def wake(self) -> None:
        """Start a round soon, because there is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Run rounds until cancelled."""
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
        """Run a last round after intake has ended: this disk may never be read again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._round()

    def _say(self, trouble: str) -> None:
        """Log each change between failing and working once."""
        if trouble and not self._trouble:
            logger.warning("%s: %s", self._failing, trouble)
        elif self._trouble and not trouble:
            logger.info(self._over)
        self._trouble = trouble
