"""Watch the service's memory while a row runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from loadtest.faults.schema import MemoryFigures
from loadtest.processes import own_bytes

SAMPLE_SECONDS = 0.5


class MemoryWatch:
    """Samples the service's memory. processes: a function that returns its current processes."""

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self._processes = processes
        self._before_bytes = 0
        self._peak_bytes = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Sample memory again and again inside the block."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def begin(self) -> None:
        """Take the current memory as the value from which growth is counted."""
        self._before_bytes = self._peak_bytes = await asyncio.to_thread(self._look)

    def figures(self) -> MemoryFigures:
        """Return the figures since `begin`."""
        return MemoryFigures(self._before_bytes, self._peak_bytes)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self._peak_bytes = max(self._peak_bytes, await asyncio.to_thread(self._look))

    def _look(self) -> int:
        return own_bytes(self._processes())
