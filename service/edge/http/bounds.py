"""What connections may cost: how many there are, how long they take, how much is held for them."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

from service.settings.http import HttpSettings

OPERATORS_CONNECTIONS = 32
"""On the port of their own."""

RESERVED_DESCRIPTORS = 256
"""Of a process: some 20 at rest, 45 for the files of each bundle (it holds two, and loads a third), then operators
and connections that are on their way out.
"""

MAX_CONNECTIONS = 4096
"""Where no number is set. One costs 5 kB while it is idle."""

MAX_HELD_BACK_BYTES = 65_536
"""Of requests that came before the answer to the one before them; then the client is not read any more. A read that
is under way may add 256,000.
"""

LINGER_SECONDS = 2.0
"""How long a connection that was refused is still read, and what comes dropped: to close it with bytes unread would
reset it, and the client might never see why."""

MAX_LINGER_BYTES = 1_048_576
"""Of what comes then. Who sends more will see a reset."""

MAX_LINGERING = 32
"""Such connections; beyond them there is no lingering."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one process. rest_seconds: for the rest of a body whose request was answered before it was read."""

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
    """The bounds that these settings and the process's descriptors give."""
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
    """Of the operators' port: the same, for the few who work there."""
    bounds = bounds_of(settings)
    return replace(
        bounds,
        max_connections=min(OPERATORS_CONNECTIONS, bounds.max_connections),
        max_connections_per_address=min(OPERATORS_CONNECTIONS, bounds.max_connections) // 2 or 1,
    )


def allowed_by_descriptors(n_descriptors: int) -> int:
    """Connections that a process with so many descriptors (-1: without a limit) can have, at least one."""
    if n_descriptors == resource.RLIM_INFINITY:
        return 2**31
    return max(1, n_descriptors - min(RESERVED_DESCRIPTORS, n_descriptors * 3 // 4))
