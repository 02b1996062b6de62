"""How many events are taken in, and known."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class EventSettings(RoomSettings):
    """How many events are taken in, and known."""

    max_events_body_bytes: int = Field(
        default=16_777_216,
        ge=1024,
        le=104_857_600,
        description="Bytes of the body of POST /events; a longer one gets 413.",
    )
    max_event_batches: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Batches of events at work at once; one more is refused with 429.",
    )
    event_keys: int = Field(
        default=200_000,
        ge=1,
        le=100_000_000,
        description="Idempotency keys that a process knows without Redis, which knows all of the last day.",
    )
    events_stream_entries: int = Field(
        default=1_000_000,
        ge=1000,
        le=10**10,
        description="Events in Redis's stream, about 300 bytes each; beyond it the oldest leave, exported or not.",
    )
