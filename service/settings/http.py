"""What a request and a connection may cost."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class HttpSettings(RoomSettings):
    """What a request and a connection may cost."""

    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=104_857_600,
        description="Bytes of a request body; a longer one gets 413.",
    )
    body_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="Seconds a client may take to send its body; a slower one gets 408.",
    )
    max_bodies_bytes: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=2**40,
        description="Bytes of all bodies together that are being read or answered, a process; beyond it 429.",
    )
    max_connections: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Connections open at once, a process. One more takes the place of who is slow to say what they "
        "want, or of the longest idle one, or gets 503. Never more than the limit of descriptors (`ulimit -n`) less "
        "256, or a quarter of it. 0: 4,096.",
    )
    max_connections_per_address: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Of these, from one client's address (IPv6: /64); one more takes the place of one of "
        "these in the same way, or gets 429. 0: half of all.",
    )
    idle_timeout_seconds: float = Field(
        default=75.0,
        gt=0,
        le=86_400,
        description="Seconds that a connection without a request stays open; longer than the load "
        "balancer's, so that that one closes first.",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds a client may take to send a request's head; a slower one gets 408.",
    )
    max_head_bytes: int = Field(
        default=16_384, ge=2048, le=1_048_576, description="Bytes of a request's head; a longer one gets 431."
    )
    max_headers: int = Field(
        default=100, ge=64, le=10_000, description="Headers of a request; one with more gets 431."
    )
    unread_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds a client may leave answers unread before its connection is dropped.",
    )
    max_unread_bytes: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=2**40,
        description="Bytes of answers that all clients leave unread, a process; beyond it the slowest is dropped.",
    )
