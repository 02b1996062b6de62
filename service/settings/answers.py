"""How much is at work at once, and for how long."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class AnswerSettings(RoomSettings):
    """How much is at work at once, and for how long."""

    deadline_ms: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Milliseconds a request may take where the caller names no deadline.",
    )
    max_in_flight: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Requests at work at once; one more is refused with 429. Fewer are let in while answers take "
        "more than a quarter of the default deadline, so that those let in keep it.",
    )
    max_batched_in_flight: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Requests in batches at work at once, beside those above; a batch beyond it is refused with 429.",
    )
    max_waiting: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Requests waiting to be scored; one more gets a fallback answer.",
    )
    max_batch: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Requests scored together; raising it trades latency for throughput.",
    )
