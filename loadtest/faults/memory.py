"""The service's memory while a row runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from loadtest.faults.schema import MemoryFigures
from loadtest.processes import own_bytes

SAMPLE_SECONDS = 0.5


class MemoryWatch:
    """processes: of the service at the time."""

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self._processes = processes
        self._before_bytes = 0
        self._peak_bytes = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look again and again inside."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def begin(self) -> None:
        """What is there now is what growth is counted from."""
        self._before_bytes = self._peak_bytes = await asyncio.to_thread(self._look)

    def figures(self) -> MemoryFigures:
        """Since `begin`."""
        return MemoryFigures(self._before_bytes, self._peak_bytes)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self._peak_bytes = max(self._peak_bytes, await asyncio.to_thread(self._look))

    def _look(self) -> int:
        return own_bytes(self._processes())
