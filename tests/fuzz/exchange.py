"""Bytes to a port, and every reply that comes back, as a client sees it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

HOST = "127.0.0.1"
LAST = b"GET /the-last-one HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n\r\n"
"""Sent behind every case: once it is answered, everything before it has been."""

ANSWER_TO_LAST = b"there is nothing at /the-last-one;"

QUIET_SECONDS = 0.25
"""Without a byte, after which a message that is not complete is given up by the client, with FIN."""

HANG_SECONDS = 12.0
"""More than a body may take (STILLROOM_BODY_TIMEOUT_SECONDS)."""

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [\x20-\x7e]*")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\x80-\xff]*)")

VOLATILE = {"request_id", "took_ms", "score", "contribution", "share", "uptime_seconds"}
VOLATILE_HEADERS = {"date", "server-timing", "x-request-id"}


class Replied(NamedTuple):
    """One reply. headers: by lower-case name. body: whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def told(self) -> tuple[object, ...]:
        """What must be equal over both ways: everything but what differs from one time to the other."""
        headers = {name: value for name, value in self.headers.items() if name not in VOLATILE_HEADERS}
        if headers.get("content-type", "").startswith("text/plain; version="):
            return (self.status, "metrics")
        if "json" in headers.get("content-type", ""):
            with suppress(ValueError):
                headers.pop("content-length", None)  # of numbers that differ
                return (self.status, tuple(sorted(headers.items())), _stable(json.loads(self.body)))
        return (self.status, tuple(sorted(headers.items())), self.body)


class Seen(NamedTuple):
    """replies: before the one to `LAST`. ended: "answered" if that came, "closed" if the service closed the
    connection instead, both maybe "after FIN", or "open". garbage: bytes that are no HTTP.
    """

    replies: tuple[Replied, ...]
    ended: str
    garbage: bytes = b""


async def exchange(port: int, pieces: Sequence[bytes], quiet_seconds: float = QUIET_SECONDS) -> Seen:
    """Send the pieces and read until everything is answered. Raises OSError where nothing listens."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(_Client, HOST, port)
    try:
        for piece in (*pieces, LAST):
            if transport.is_closing():
                break
            transport.write(piece)
            await asyncio.sleep(0)
        ended = await client.wait(quiet_seconds)
    finally:
        transport.abort()
    replies, garbage = client.read()
    return Seen(replies, ended, garbage)


class _Client(asyncio.Protocol):
    """Reads until the service closes, as `LAST` asks it to."""

    def __init__(self) -> None:
        self._data = b""
        self._moved = asyncio.Event()
        self._ended = ""
        self._transport: Any = None

    async def wait(self, quiet_seconds: float) -> str:
        """How it ended: "answered", "closed", both maybe "after FIN", or "open"."""
        said_all = False
        try:
            async with asyncio.timeout(HANG_SECONDS):
                while not self._ended:
                    self._moved.clear()
                    try:
                        async with asyncio.timeout(quiet_seconds):
                            await self._moved.wait()
                    except TimeoutError:
                        if not said_all and not self._ended:
                            said_all = True
                            self._transport.write_eof()
        except TimeoutError:
            return "open"
        return f"{self._ended} after FIN" if said_all else self._ended

    def read(self) -> tuple[tuple[Replied, ...], bytes]:
        """Every reply but the one to `LAST`, and what is no reply."""
        replies, rest = read_replies(self._data)
        return tuple(reply for reply in replies if ANSWER_TO_LAST not in reply.body), rest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._moved.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = "answered" if ANSWER_TO_LAST in self._data else "closed"
        self._moved.set()


def read_replies(data: bytes) -> tuple[list[Replied], bytes]:
    """The replies one after the other, and what is left: b"" unless a reply is cut off or no HTTP.

    A reply without the body that it declares is one to HEAD, if another reply stands behind it or nothing.
    """
    replies: list[Replied] = []
    while data:
        head, separator, rest = data.partition(b"\r\n\r\n")
        read = _head(head) if separator else None
        if read is None:
            break
        status, headers = read
        body, data = _body(headers, rest)
        if body is None:
            return replies, data
        replies.append(Replied(status, headers, body))
    return replies, data


def _head(head: bytes) -> tuple[int, dict[str, str]] | None:
    """None for what is no head."""
    first, *lines = head.split(b"\r\n")
    status = STATUS_LINE.fullmatch(first)
    headers = [HEADER_LINE.fullmatch(line) for line in lines]
    if status is None or not all(headers):
        return None
    found = {header[1].decode().lower(): header[2].decode("latin-1") for header in headers if header}
    return int(status[1]), found


def _body(headers: Mapping[str, str], rest: bytes) -> tuple[bytes | None, bytes]:
    """A body and what comes behind it; None and the rest where the body is cut off."""
    if headers.get("transfer-encoding") == "chunked":
        whole = b""
        while (end := rest.find(b"\r\n")) >= 0:
            size = int(rest[:end].partition(b";")[0], 16)
            if len(rest) < end + 2 + size + 2:
                break
            whole, rest = whole + rest[end + 2 : end + 2 + size], rest[end + 2 + size + 2 :]
            if size == 0:
                return whole, rest
        return None, rest
    length = int(headers.get("content-length", "0"))
    if not rest or rest.startswith(b"HTTP/1."):
        return b"", rest
    return (rest[:length], rest[length:]) if len(rest) >= length else (None, rest)


def _stable(value: Any) -> Any:
    """Without what differs from one time to the other."""
    if isinstance(value, dict):
        return tuple((name, _stable(inner)) for name, inner in sorted(value.items()) if name not in VOLATILE)
    if isinstance(value, list):
        return tuple(map(_stable, value))
    return value
