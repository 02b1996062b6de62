"""The address of Redis, its timeouts and its circuit breaker."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from service.redis.address import read_address
from service.settings.base import RoomSettings


def _redis_url(url: str) -> str:
    """Raise ValueError for an address that cannot be used, without repeating any of it."""
    if url:
        read_address(url)
    return url


class RedisSettings(RoomSettings):
    """The address of Redis, its timeouts and its circuit breaker."""

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        default="",
        repr=False,
        description="Address (redis://, rediss:// or unix://) of one server; empty runs without Redis.",
    )
    redis_connect_timeout_ms: int = Field(
        default=50,
        ge=1,
        le=60_000,
        description="Milliseconds that connecting to Redis may take; requests that need it wait as long.",
    )
    redis_read_timeout_ms: int = Field(
        default=20,
        ge=1,
        le=60_000,
        description="Milliseconds that one Redis round trip may take before it counts as failed.",
    )
    circuit_failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Consecutive failed Redis round trips that stop further attempts for a while.",
    )
    circuit_open_seconds: float = Field(
        default=1.0,
        gt=0,
        le=3600,
        description="Seconds without attempts before one round trip tries Redis again.",
    )
