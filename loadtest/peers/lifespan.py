"""Close what an app holds when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import redis.asyncio
from fastapi import FastAPI


def closing(client: redis.asyncio.Redis) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Make an app's lifespan that closes its Redis client at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    return lifespan
