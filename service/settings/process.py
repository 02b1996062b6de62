"""Processes and their shutdown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.settings.base import RoomSettings


class ProcessSettings(RoomSettings):
    """Processes and their shutdown."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 listens on every interface."
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of processes; more use more cores and share the bundle's memory.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest severity that is logged."
    )
    drain_seconds: float = Field(
        default=1.0,
        ge=0,
        le=300,
        description="Seconds after SIGTERM in which requests are still answered while readiness is already 503.",
    )
    shutdown_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="Seconds that requests in flight have to finish when the service stops.",
    )
