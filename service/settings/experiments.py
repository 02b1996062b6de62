"""Experiments, and the log of answers."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class ExperimentSettings(RoomSettings):
    """Experiments, and the log of answers."""

    experiments: str = Field(
        default="",
        description="TOML file that declares experiments, reread whenever it changes; empty for none.",
    )
    sampled_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of answers that the monitor scores again with every model; raising it makes the "
        "monitor work more.",
    )
    exposure_max_records: int = Field(
        default=50_000,
        ge=0,
        le=10_000_000,
        description="Answers kept for the live log while Redis is unavailable; more are dropped and "
        "counted. 0 logs no answer, so that nothing can be monitored, judged or estimated.",
    )
    exposure_max_bytes: int = Field(
        default=33_554_432,
        ge=65_536,
        le=2**40,
        description="Maximum bytes of such answers; those beyond it are dropped and counted.",
    )
    exposure_stream_length: int = Field(
        default=100_000,
        ge=1000,
        le=10**9,
        description="Answers that the live log in Redis keeps, about 400 bytes each; beyond it, the oldest "
        "are deleted.",
    )
