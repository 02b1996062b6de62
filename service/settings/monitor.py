"""The port, the windows and the memory of the monitor."""

from __future__ import annotations

from pydantic import Field

from service.settings.base import RoomSettings


class MonitorSettings(RoomSettings):
    """The port, the windows and the memory of the monitor."""

    monitor_port: int = Field(
        default=9101,
        ge=0,
        le=65_535,
        description="TCP port of the monitor's /metrics and /health, on the same host; 0 takes a free one.",
    )
    monitor_window_seconds: float = Field(
        default=900.0,
        gt=0,
        le=604_800,
        description="Seconds of traffic in one window of the monitor; raising it finds smaller shifts, but later.",
    )
    monitor_min_records: int = Field(
        default=500,
        ge=1,
        le=10_000_000,
        description="Minimum number of records in such a window; one with fewer stays open.",
    )
    monitor_min_scored: int = Field(
        default=200,
        ge=30,
        le=1_000_000,
        description="Minimum number of sampled requests in a window that measures the models' disagreement.",
    )
    outcome_window_seconds: float = Field(
        default=1800.0,
        gt=0,
        le=604_800,
        description="Seconds after an answer in which a click or purchase counts for it, when the monitor "
        "measures accuracy.",
    )
    monitor_max_answers: int = Field(
        default=500_000,
        ge=1000,
        le=100_000_000,
        description="Answers that the monitor remembers until their outcome is known, about 1.5 kB each.",
    )
