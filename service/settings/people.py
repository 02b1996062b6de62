"""How long people's histories are kept, and where."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class PeopleSettings(RoomSettings):
    """How long people's histories are kept, and where."""

    cache_bytes: int = Field(
        default=134_217_728,
        ge=0,
        le=2**40,
        description="Bytes of people's data held in memory, per process; 0 holds nobody.",
    )
    cache_max_age_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Seconds before a person in memory is read from Redis again, if Redis cannot report changes.",
    )
    last_good_people: int = Field(
        default=20_000,
        ge=0,
        le=10_000_000,
        description="Number of people whose last good answer is kept as a fallback.",
    )
    redis_ttl_seconds: int = Field(
        default=7_776_000,
        ge=60,
        le=2**31,
        description="Seconds that a person for whom no request arrives stays in Redis.",
    )
