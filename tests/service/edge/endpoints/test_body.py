"""A body is read whole, within its limits, and only one that is waited for costs a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message, Receive

from service.contract.errors import BodyTooLarge, BodyTooSlow
from service.edge.endpoints.body import ClientGone, Limits, read_body

HEADERS = {b"content-type": b"application/json"}
LIMITS = Limits(max_body_bytes=10, body_timeout_seconds=60)


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def server(*messages: Message, waits: bool = False) -> Receive:
    """A `receive` that gives these messages, after a turn of the event loop each where it waits."""
    coming = iter(messages)

    async def receive() -> Message:
        if waits:
            await asyncio.sleep(0)
        return next(coming)

    return receive


async def test_body_in_pieces_is_put_together() -> None:
    pieces = piece(b"{", more=True), piece(b" ", more=True), piece(b"}")
    for waits in (False, True):
        assert await read_body(HEADERS, server(*pieces, waits=waits), LIMITS) == b"{ }"


@pytest.mark.parametrize("before", [[], [piece(b"{", more=True)]])
@pytest.mark.parametrize("waits", [False, True])
async def test_client_that_hangs_up_is_gone(before: list[Message], waits: bool) -> None:
    with pytest.raises(ClientGone):
        await read_body(HEADERS, server(*before, {"type": "http.disconnect"}, waits=waits), LIMITS)


@pytest.mark.parametrize("waits", [False, True])
async def test_bytes_over_the_limit_are_refused_as_they_come(waits: bool) -> None:
    fitting = server(piece(b"12345", more=True), piece(b"67890"), waits=waits)
    assert await read_body(HEADERS, fitting, LIMITS) == b"1234567890"
    for pieces in ([piece(b"12345678901")], [piece(b"12345", more=True), piece(b"678901", more=True)]):
        with pytest.raises(BodyTooLarge, match="more than the 10 bytes"):
            await read_body(HEADERS, server(*pieces, waits=waits), LIMITS)


@pytest.mark.parametrize("first", [None, piece(b"{", more=True)])
async def test_body_that_does_not_come_is_too_slow(first: Message | None) -> None:
    messages = [] if first is None else [first]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        return await asyncio.Future()

    with pytest.raises(BodyTooSlow, match=r"within 0\.001 seconds"):
        await read_body(HEADERS, receive, Limits(10, 0.001))


async def test_cancellation_reaches_the_server_that_is_waited_for() -> None:
    waiting, cancelled = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        waiting.set()
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    reading = asyncio.create_task(read_body(HEADERS, receive, LIMITS))
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert cancelled.is_set()


@pytest.mark.parametrize("raises", [OSError, StopAsyncIteration])
async def test_what_the_server_raises_is_raised(raises: Callable[[], Exception]) -> None:
    async def receive() -> Any:
        raise raises()

    with pytest.raises(raises):  # type: ignore[call-overload]
        await read_body(HEADERS, receive, LIMITS)
