"""What the settings of every room have in common."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "STILLROOM_"


class RoomSettings(BaseSettings):
    """Each field is a setting: its meaning, its unit, and what raising it does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )
