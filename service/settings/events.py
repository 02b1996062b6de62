"""Limits on events."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class EventSettings(RoomSettings):
    """Limits on events."""

    max_events_body_bytes: int = Field(
        default=16_777_216,
        ge=1024,
        le=104_857_600,
        description="Maximum bytes of the body of POST /events; a longer one gets 413.",
    )
    max_event_batches: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Concurrent batches of events; one more is refused with 429.",
    )
    event_keys: int = Field(
        default=200_000,
        ge=1,
        le=100_000_000,
        description="Idempotency keys that a process remembers without Redis; Redis remembers all keys of "
        "the last day.",
    )
    events_stream_entries: int = Field(
        default=1_000_000,
        ge=1000,
        le=10**10,
        description="Events in the stream in Redis, about 300 bytes each; beyond it, the oldest are "
        "deleted, exported or not.",
    )
