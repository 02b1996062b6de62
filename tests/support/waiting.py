"""Waiting for what will be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic, sleep

POLL_SECONDS = 0.02


def wait_until(claim: Callable[[], bool], what: str, timeout_seconds: float = 30.0) -> None:
    """Poll until the claim holds; the limit only ends a test that would hang."""
    gives_up_at = monotonic() + timeout_seconds
    while not claim():
        if monotonic() > gives_up_at:
            raise TimeoutError(f"{what} did not come true in {timeout_seconds} seconds")
        sleep(POLL_SECONDS)


async def eventually(claim: Callable[[], Awaitable[bool]], timeout_seconds: float = 30.0) -> None:
    """Ask until the claim holds, letting the loop run; the limit only ends a test that would hang."""
    async with asyncio.timeout(timeout_seconds):
        while not await claim():  # noqa: ASYNC110 - what a claim is about has no event
            await asyncio.sleep(POLL_SECONDS / 10)
