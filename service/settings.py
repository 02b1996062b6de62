"""Every setting of the service, read from the environment under the prefix `STILLROOM_`.

`docs/settings.md` is generated from this file: `python -m service.settings > docs/settings.md`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.registry import DEFAULT_STORE
from service.errors import SettingsInvalid

PREFIX = "STILLROOM_"


class Settings(BaseSettings):
    """One field a setting: meaning, unit, what raising it does."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 listens on every interface."
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes; more use more cores, and share the bundle's memory."
    )
    store: Path = Field(
        default=DEFAULT_STORE, description="Folder of bundles, with the `current` pointer in it."
    )
    bundle_poll_seconds: float = Field(
        default=2.0,
        gt=0,
        le=3600,
        description="Seconds between looks at `current`; raising it delays a promotion.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written."
    )

    deadline_ms: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Milliseconds a request may take where the caller names no deadline.",
    )
    max_in_flight: int = Field(
        default=128, ge=1, le=100_000, description="Requests at work at once; one more is refused with 429."
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
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=104_857_600,
        description="Bytes of a request body; a longer one gets 413.",
    )
    body_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="Seconds a client may take to send its body; a slower one gets 408.",
    )

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

    redis_url: str = Field(
        default="", description="redis://, rediss:// or unix:// address; empty runs without Redis."
    )
    redis_connect_timeout_ms: int = Field(
        default=50,
        ge=1,
        le=60_000,
        description="Milliseconds to connect to Redis; requests in line wait as long.",
    )
    redis_read_timeout_ms: int = Field(
        default=20,
        ge=1,
        le=60_000,
        description="Milliseconds for one Redis round trip before it counts as failed.",
    )
    redis_ttl_seconds: int = Field(
        default=7_776_000,
        ge=60,
        le=2**31,
        description="Seconds that a person nobody asks for stays in Redis.",
    )
    circuit_failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Failed Redis trips in a row that stop further attempts for a while.",
    )
    circuit_open_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="Seconds without attempts before one trip tries Redis again."
    )

    drain_seconds: float = Field(
        default=1.0,
        ge=0,
        le=300,
        description="Seconds of answering after SIGTERM with readiness already 503.",
    )
    shutdown_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="Seconds that requests in flight get to finish when the service stops.",
    )


def read_settings() -> Settings:
    """Read the environment. Raises SettingsInvalid, one line a fault: the variable, its value, the bound."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsInvalid(f"{unknown[0]} is not a setting; docs/settings.md lists them all")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid("; ".join(_faults(error))) from error


def settings_page() -> str:
    """The text of docs/settings.md."""
    lines = [
        "# Settings of the service",
        "",
        "Environment variables, read once at the start. Generated by `python -m service.settings`.",
        "",
        "| variable | default | bound | meaning |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "(empty)" if field.default == "" else f"`{field.default}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {_bound(name)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _bound(name: str) -> str:
    schema = Settings.model_json_schema()["properties"][name]
    if "enum" in schema:
        return ", ".join(schema["enum"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]:,}" for key, sign in signs.items() if key in schema]
    return ", ".join(bounds) or "–"


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        name = f"{PREFIX}{'_'.join(map(str, fault['loc']))}".upper()
        yield f"{name} is {str(fault['input'])[:60]!r}: {fault['msg'].lower()}"


if __name__ == "__main__":
    print(settings_page(), end="")
