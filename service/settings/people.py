"""How long what people did is kept, and where."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class PeopleSettings(RoomSettings):
    """How long what people did is kept, and where."""

    cache_bytes: int = Field(
        default=134_217_728,
        ge=0,
        le=2**40,
        description="Bytes of people held in memory, a process; 0 holds nobody.",
    )
    cache_max_age_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Seconds before a person in memory is read from Redis again, where Redis cannot tell of changes.",
    )
    last_good_people: int = Field(
        default=20_000,
        ge=0,
        le=10_000_000,
        description="People whose last good answer is kept for a bad moment.",
    )
    redis_ttl_seconds: int = Field(
        default=7_776_000,
        ge=60,
        le=2**31,
        description="Seconds that a person nobody asks for stays in Redis.",
    )
