"""Makes something once for all requests that ask at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Together(Generic[Made]):
    """make: so slow that a hundred simultaneous requests, made one after the other, would delay all others."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._making: asyncio.Task[Made] | None = None

    async def get(self) -> Made:
        """Return a result that was made after this call, never before."""
        if self._making is None:
            self._making = asyncio.create_task(self._make_next())
        return await asyncio.shield(self._making)

    async def _make_next(self) -> Made:
        await asyncio.sleep(0)  # requests that ask in this turn of the event loop share the result
        self._making = None
        return self._make()
