"""What an app lets go of when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import redis.asyncio
from fastapi import FastAPI


def closing(client: redis.asyncio.Redis) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """An app's lifespan, with whose end its Redis is closed."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    return lifespan
