"""The body of a request: declared as JSON, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.types import Message, Receive

from service.errors import BodyTooLarge, BodyTooSlow, MediaTypeUnsupported

JSON = b"application/json"


class ClientGone(Exception):
    """The client hung up before its body was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may be."""

    max_body_bytes: int
    body_timeout_seconds: float


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> bytes:
    """The whole body. headers: by lower-case name.

    Raises MediaTypeUnsupported, BodyTooLarge, BodyTooSlow, and ClientGone where the body ends early.
    """
    _check_media_type(headers.get(b"content-type", b""))
    _check_declared_length(headers.get(b"content-length", b"0"), limits)
    first = _Begun(receive())
    # Nearly every body comes along with its headers; only one that is waited for gets a timer, which costs 4 µs.
    if first.message is not None and not first.message.get("more_body", False):
        return _piece(first.message, 0, limits)
    try:
        async with asyncio.timeout(limits.body_timeout_seconds):
            return await _pieces(first, receive, limits)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"the body did not arrive within {limits.body_timeout_seconds:g} seconds"
        ) from error


class _Begun:
    """A call of `receive`, run at once as far as it goes without waiting; awaiting it does the rest.

    message: what it gave, None if it has to wait.
    """

    __slots__ = ("_steps", "_waiting_for", "message")

    def __init__(self, call: Awaitable[Message]) -> None:
        self._steps = call.__await__()
        self.message: Message | None = None
        try:
            self._waiting_for = next(self._steps)
        except StopIteration as arrived:
            self.message = arrived.value

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.message is not None:
            return self.message
        waiting_for = self._waiting_for
        while True:
            try:
                yield waiting_for
            except BaseException as error:  # also a cancellation is for the call to see
                step = partial(self._steps.throw, error)
            else:
                step = partial(next, self._steps)
            try:
                waiting_for = step()
            except StopIteration as arrived:
                message: Message = arrived.value
                return message


async def _pieces(first: Awaitable[Message], receive: Receive, limits: Limits) -> bytes:
    """A body that is still on its way; it may come in pieces without a declared length."""
    body = bytearray()
    message = await first
    while True:
        body += _piece(message, len(body), limits)
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()


def _piece(message: Message, n_before: int, limits: Limits) -> bytes:
    """What a message adds to the n_before bytes that are there already."""
    if message["type"] == "http.disconnect":
        raise ClientGone
    piece: bytes = message.get("body", b"")
    if n_before + len(piece) > limits.max_body_bytes:
        raise BodyTooLarge(f"the body has more than the {limits.max_body_bytes:,} bytes that are read")
    return piece


def _check_media_type(given: bytes) -> None:
    if given != JSON and given.split(b";", 1)[0].strip().lower() != JSON:
        shown = given[:60].decode("latin-1") or "nothing"
        raise MediaTypeUnsupported(f"content-type says {shown!r}; send application/json")


def _check_declared_length(declared: bytes, limits: Limits) -> None:
    if not declared.isdigit() or int(declared) > limits.max_body_bytes:
        raise BodyTooLarge(
            f"the body has {declared.decode('latin-1')} bytes, at most {limits.max_body_bytes:,} are read"
        )
