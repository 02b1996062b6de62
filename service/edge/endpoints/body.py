"""Reads the body of a request: declared as JSON, not compressed, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import Message, Receive

from service.contract.errors import BodyTooLarge, BodyTooSlow, EncodingUnsupported, MediaTypeUnsupported
from service.limits.permits import BodyBytes

JSON = b"application/json"
DEFAULT_BODIES_BYTES = 268_435_456


class ClientGone(Exception):
    """The client hung up before its body was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one body, and on all bodies together."""

    max_body_bytes: int
    body_timeout_seconds: float
    bodies: BodyBytes = field(default_factory=lambda: BodyBytes(DEFAULT_BODIES_BYTES))


async def read_body(
    headers: Mapping[bytes, bytes],
    receive: Receive,
    limits: Limits,
    hold: Callable[[int], None] = lambda n_bytes: None,
) -> bytes:
    """Read the whole body. headers: by lower-case name. hold: from `limits.bodies.holding()`.

    Raises Overloaded, MediaTypeUnsupported, EncodingUnsupported, BodyTooLarge, BodyTooSlow, and ClientGone if the
    body ends early.
    """
    _check_encoding(headers.get(b"content-encoding", b""))
    _check_media_type(headers.get(b"content-type", b""))
    _check_declared_length(headers.get(b"content-length", b"0"), limits)
    try:
        async with asyncio.timeout(limits.body_timeout_seconds):
            return await _pieces(receive, limits, hold)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"the body did not arrive within {limits.body_timeout_seconds:g} seconds"
        ) from error


async def _pieces(receive: Receive, limits: Limits, hold: Callable[[int], None]) -> bytes:
    """Read a body that may arrive in pieces and without a declared length."""
    body = bytearray()
    while True:
        message = await receive()
        piece = _piece(message, len(body), limits)
        hold(len(piece))
        body += piece
        if not message.get("more_body", False):
            return bytes(body)


def _piece(message: Message, n_before: int, limits: Limits) -> bytes:
    """Return what a message adds to the n_before bytes that are already read."""
    if message["type"] == "http.disconnect":
        raise ClientGone
    piece: bytes = message.get("body", b"")
    if n_before + len(piece) > limits.max_body_bytes:
        raise BodyTooLarge(f"the body has more than the {limits.max_body_bytes:,} bytes that are read")
    return piece


def _check_encoding(given: bytes) -> None:
    if given.strip().lower() not in (b"", b"identity"):
        shown = given[:60].decode("latin-1")
        raise EncodingUnsupported(
            f"content-encoding says {shown!r}; only identity is read: send the JSON as it is, not compressed"
        )


def _check_media_type(given: bytes) -> None:
    if given != JSON and given.split(b";", 1)[0].strip().lower() != JSON:
        shown = given[:60].decode("latin-1") or "nothing"
        raise MediaTypeUnsupported(f"content-type says {shown!r}; send application/json")


def _check_declared_length(declared: bytes, limits: Limits) -> None:
    if not declared.isdigit() or int(declared) > limits.max_body_bytes:
        raise BodyTooLarge(
            f"the body has {declared.decode('latin-1')} bytes, at most {limits.max_body_bytes:,} are read"
        )
