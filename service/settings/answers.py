"""Limits on concurrent requests, and their deadline."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class AnswerSettings(RoomSettings):
    """Limits on concurrent requests, and their deadline."""

    deadline_ms: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Milliseconds a request may take if the caller gives no deadline.",
    )
    max_in_flight: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Concurrent requests; one more is refused with 429. While answers take more than a "
        "quarter of the default deadline, fewer are admitted, so that those admitted keep it.",
    )
    max_batched_in_flight: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Concurrent requests within batches, in addition to those above; a batch beyond it is "
        "refused with 429.",
    )
    max_waiting: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Requests that may wait to be scored; one more gets a fallback answer.",
    )
    max_batch: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Most requests that are scored together; raising it increases throughput, and latency too.",
    )
