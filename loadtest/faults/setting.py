"""The settings of a row's stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Setting:
    """The settings of a row's stage. has_line: Redis is behind a line that can be impaired.

    has_client_line: the service is too, for some of its clients. settings: STILLROOM_* variables. prefix: a command
    that starts the service. spool_bytes: the spool is on a disk of its own of this size. n_bundles: number in the
    store; 0 for an empty one. spoils_last: the last bundle is damaged. has_clock: the service's clock can be moved.
    opens_anew: each question comes on a connection of its own. redis_patience_ms: how long the service waits for a
    reply of Redis; long in rows about other things, so that a busy machine does not look like an absent Redis.
    redis_user: what the service may do in Redis, in the words of ACL SETUSER; empty for everything.
    """

    n_workers: int = 2
    has_line: bool = False
    has_client_line: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    spool_bytes: int | None = None
    n_bundles: int = 1
    spoils_last: bool = False
    has_clock: bool = False
    opens_anew: bool = False
    redis_patience_ms: int = 500
    redis_user: tuple[str, ...] = ()
