"""The body of a request: declared as JSON, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

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
    try:
        async with asyncio.timeout(limits.body_timeout_seconds):
            return await _pieces(receive, limits)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"the body did not arrive within {limits.body_timeout_seconds:g} seconds"
        ) from error


async def _pieces(receive: Receive, limits: Limits) -> bytes:
    """It may come in pieces without a declared length."""
    body = bytearray()
    while True:
        message = await receive()
        body += _piece(message, len(body), limits)
        if not message.get("more_body", False):
            return bytes(body)


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
