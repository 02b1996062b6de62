"""Limits on requests and connections."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class HttpSettings(RoomSettings):
    """Limits on requests and connections."""

    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=104_857_600,
        description="Maximum bytes of a request body; a longer one gets 413.",
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
        description="Maximum bytes, per process, of all request bodies that are being read or answered; "
        "beyond it, requests get 429.",
    )
    max_connections: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Open connections per process. One more replaces a client that is slow to send its "
        "request, or else the longest idle connection; if there is neither, it gets 503. Capped "
        "at the descriptor limit (`ulimit -n`) minus 256, or at a quarter of that limit if that "
        "is more. 0: 4,096.",
    )
    max_connections_per_address: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Open connections per client address (IPv6: per /64), out of those above. One more "
        "replaces another of the same address in the same way, or gets 429. 0: half of all.",
    )
    idle_timeout_seconds: float = Field(
        default=75.0,
        gt=0,
        le=86_400,
        description="Seconds that a connection without a request stays open. Set it higher than the load "
        "balancer's idle timeout, so that the load balancer closes first.",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds a client may take to send the head of a request; a slower one gets 408.",
    )
    max_head_bytes: int = Field(
        default=16_384,
        ge=2048,
        le=1_048_576,
        description="Maximum bytes of a request's head; a longer one gets 431.",
    )
    max_headers: int = Field(
        default=100,
        ge=64,
        le=10_000,
        description="Maximum number of headers of a request; one with more gets 431.",
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
        description="Maximum bytes, per process, of answers that clients have not read yet; beyond it, the "
        "slowest client is dropped.",
    )
