"""The only thread that touches the files of a worker's spool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class SpoolThread:
    """The thread starts with the first call."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a call on the thread, after all earlier calls."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the last call to end."""
        self._executor.shutdown()
