"""Bounds on connections: their number, their timeouts, and the bytes that are held for them."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

from service.settings.http import HttpSettings

OPERATORS_CONNECTIONS = 32
"""How many connections the operators' own port takes."""

RESERVED_DESCRIPTORS = 256
"""File descriptors that a process keeps for other uses: some 20 at rest, 45 for the files of each bundle (it holds
two and loads a third), and the rest for operators and for connections that are being closed.
"""

MAX_CONNECTIONS = 4096
"""The default if no number is set. An idle connection costs 5 kB."""

MAX_HELD_BACK_BYTES = 65_536
"""Bytes of pipelined requests that are held until the reply to the one before them. Beyond it, the client is not read
any more; a read that is under way may add 256,000.
"""

LINGER_SECONDS = 2.0
"""How long a refused connection is still read and its bytes dropped. Closing it with unread bytes would reset it, and
the client might never see the reason."""

MAX_LINGER_BYTES = 1_048_576
"""How many bytes are dropped while lingering. A client that sends more sees a reset."""

MAX_LINGERING = 32
"""How many connections may linger at once; beyond them, refused ones are closed immediately."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a process. rest_seconds: the timeout for the rest of a body whose reply was sent."""

    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS // 2
    idle_seconds: float = 75.0
    head_seconds: float = 10.0
    rest_seconds: float = 5.0
    unread_seconds: float = 10.0
    max_head_bytes: int = 16_384
    max_headers: int = 100
    max_unread_bytes: int = 67_108_864


def bounds_of(settings: HttpSettings) -> Bounds:
    """Return the bounds that follow from the settings and the process's file descriptors."""
    allowed = allowed_by_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    max_connections = min(settings.max_connections or MAX_CONNECTIONS, allowed)
    return Bounds(
        max_connections,
        settings.max_connections_per_address or max(1, max_connections // 2),
        idle_seconds=settings.idle_timeout_seconds,
        head_seconds=settings.head_timeout_seconds,
        rest_seconds=settings.body_timeout_seconds,
        unread_seconds=settings.unread_timeout_seconds,
        max_head_bytes=settings.max_head_bytes,
        max_headers=settings.max_headers,
        max_unread_bytes=settings.max_unread_bytes,
    )


def operators_bounds(settings: HttpSettings) -> Bounds:
    """Return the bounds of the operators' port, which are the same but for fewer connections."""
    bounds = bounds_of(settings)
    return replace(
        bounds,
        max_connections=min(OPERATORS_CONNECTIONS, bounds.max_connections),
        max_connections_per_address=min(OPERATORS_CONNECTIONS, bounds.max_connections) // 2 or 1,
    )


def allowed_by_descriptors(n_descriptors: int) -> int:
    """Return how many connections n_descriptors (-1 for no limit) allow, at least one."""
    if n_descriptors == resource.RLIM_INFINITY:
        return 2**31
    return max(1, n_descriptors - min(RESERVED_DESCRIPTORS, n_descriptors * 3 // 4))
