"""Finds out whether a reply reached its client, or was written to a connection that had already gone."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, TypeAlias

Delivered: TypeAlias = "bool | asyncio.Future[bool]"
"""Whether a reply was handed to an open connection; a future if that is not known yet."""

_IS_CLOSED = 7
"""TCP_CLOSE in Linux's tcp_states.h: both sides have closed, or the other one has reset the connection."""

_UNACKNOWLEDGED_AT = 24
"""The offset of the byte tcpi_unacked in Linux's struct tcp_info."""


class Delivery:
    """The delivery of one ASGI request's reply, for the endpoint: `delivery` of EXTENSION in the scope."""

    __slots__ = ("delivered",)

    def __init__(self) -> None:
        self.delivered: Delivered = False


EXTENSION = "stillroom.delivery"


def delivered_over(scope: Any) -> Delivered:
    """Whether the reply to this scope was delivered. A server that does not say is assumed to have delivered it."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    return True if extension is None else extension["delivery"].delivered


def is_taken(connection: Any) -> bool | None:
    """Whether the other side received what was written; None while that is open. connection: a transport's socket.

    It is asked for clients that have shut down their side: they may wait for the answer or be gone altogether, and
    only their acknowledgement tells. If the system does not tell either, the answer counts as received.
    """
    try:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKNOWLEDGED_AT + 4)
    except (OSError, AttributeError, ValueError):
        return True
    (n_unacknowledged,) = struct.unpack_from("I", info, _UNACKNOWLEDGED_AT)
    return True if info[0] == _IS_CLOSED or not n_unacknowledged else None
