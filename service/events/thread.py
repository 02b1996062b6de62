"""The one thread on which a worker's spool lives: appends, and whatever else touches its files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class SpoolThread:
    """Starts with the first call."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def run(self, call: Callable[[], Result]) -> Result:
        """Call on the thread; calls are made one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the last call."""
        self._executor.shutdown()
