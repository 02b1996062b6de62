"""What is made once for all who ask at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Together(Generic[Made]):
    """make: takes so long that a hundred who ask at once would keep everybody else waiting, one after the other."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._making: asyncio.Task[Made] | None = None

    async def get(self) -> Made:
        """Made after this was called, never before."""
        if self._making is None:
            self._making = asyncio.create_task(self._make_next())
        return await asyncio.shield(self._making)

    async def _make_next(self) -> Made:
        await asyncio.sleep(0)  # whoever asks in this turn of the loop is answered too
        self._making = None
        return self._make()
