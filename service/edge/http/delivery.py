"""Whether a reply reached its client: what was written to a connection that had gone was read by nobody."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, TypeAlias

Delivered: TypeAlias = "bool | asyncio.Future[bool]"
"""Whether a reply was handed to an open connection; a future where that is not known yet."""

_IS_CLOSED = 7
"""TCP_CLOSE of Linux's tcp_states.h: both sides are done, or the other one has reset the connection."""

_UNACKNOWLEDGED_AT = 24
"""Byte of tcpi_unacked in Linux's struct tcp_info."""


class Delivery:
    """How one ASGI request's reply fared, for whoever answers it: `delivery` of EXTENSION in the scope."""

    __slots__ = ("delivered",)

    def __init__(self) -> None:
        self.delivered: Delivered = False


EXTENSION = "stillroom.delivery"


def delivered_over(scope: Any) -> Delivered:
    """Of the reply sent to this scope. A server that does not say is believed to have delivered it."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    return True if extension is None else extension["delivery"].delivered


def is_taken(connection: Any) -> bool | None:
    """Whether the other side has taken what was written; None while that is open. connection: a transport's socket.

    For a client that has shut down its side: it may wait for the answer, or be gone altogether, and only what it
    makes of the answer tells. Where the system does not tell either, it is believed to have taken it.
    """
    try:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKNOWLEDGED_AT + 4)
    except (OSError, AttributeError, ValueError):
        return True
    (n_unacknowledged,) = struct.unpack_from("I", info, _UNACKNOWLEDGED_AT)
    return True if info[0] == _IS_CLOSED or not n_unacknowledged else None
