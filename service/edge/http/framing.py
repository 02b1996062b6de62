"""Finds the end of a head and the end of a message, so that no request is parsed ahead.

llhttp alone decides what the bytes mean. It accepts only CR LF as a line break, so a head, like a chunked body with
its trailers, ends with an empty line and nowhere else. Nothing more has to be found here.
"""

from __future__ import annotations

from collections.abc import Iterable

EMPTY_LINE = b"\r\n\r\n"

CHUNKED = -1
"""Stands for the length of a body that ends with its last chunk."""


class EmptyLine:
    """Finds the next empty line in bytes that come in pieces."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def pieces_end(self, data: bytes | bytearray, at_most: int) -> int:
        """Return how many of these bytes to take: up to the end of an empty line, at most `at_most`."""
        window = self._tail + data[:at_most]
        found = window.find(EMPTY_LINE)
        n_bytes = found + len(EMPTY_LINE) if found >= 0 else len(window)
        self._tail = bytes(window[max(0, n_bytes - 3) : n_bytes])
        return n_bytes - (len(window) - min(len(data), at_most))


def body_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the length of the body after a head that llhttp accepted: 0 without one, CHUNKED if it is chunked."""
    n_bytes = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return CHUNKED
        if name == b"content-length":
            n_bytes = int(value)
    return n_bytes


def head_without_upgrade(
    method: bytes, url: bytes, version: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Write the head again without the offer to upgrade to another protocol, which may be declined (RFC 9110, 7.8).

    `curl --http2` and Java's client offer h2c in this way with every request.
    """
    lines = [b"%b %b HTTP/%b" % (method, url, version)]
    for name, value in headers:
        if name in (b"upgrade", b"http2-settings"):
            continue
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            value = b", ".join(each for each in tokens if each.lower() not in (b"upgrade", b"http2-settings"))
            if not value:
                continue
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + EMPTY_LINE
