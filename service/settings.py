"""Every setting of the service, read from the environment under the prefix `STILLROOM_`.

`docs/settings.md` is generated from this file: `python -m service.settings > docs/settings.md`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.registry import DEFAULT_STORE
from models.scan import KERNELS, available_kernels
from service.errors import SettingsInvalid
from service.histories.address import read_address

PREFIX = "STILLROOM_"


_SECRETS = {"redis_url"}
"""Settings whose value is never shown, not even a wrong one."""


def _redis_url(url: str) -> str:
    """Raises ValueError for one that cannot be used, and says nothing of what it holds."""
    if url:
        read_address(url)
    return url


def _instructions(name: str) -> str:
    """Raises ValueError for those that there are not or that this processor lacks."""
    allowed = ("best", *available_kernels())
    if name not in allowed:
        raise ValueError(f"this processor takes {', '.join(allowed)}")
    return name


def _store(store: Path) -> Path:
    """Raises ValueError for a path that can never be a store; one that is not there yet is an empty one."""
    if store.exists() and not store.is_dir():
        raise ValueError("it is no folder; name the folder that bundles are in, or will be")
    return store


class Settings(BaseSettings):
    """One field a setting: meaning, unit, what raising it does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 listens on every interface."
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes; more use more cores, and share the bundle's memory."
    )
    store: Annotated[Path, AfterValidator(_store)] = Field(
        default=DEFAULT_STORE, description="Folder of bundles, with the `current` pointer in it."
    )
    require_bundle: bool = Field(
        default=False,
        description="Whether /health/ready is 503 without a bundle; true keeps a roll-out with a wrong store from "
        "going on, false lets a shop start before its first model.",
    )
    bundle_poll_seconds: float = Field(
        default=0.5,
        gt=0,
        le=3600,
        description="Seconds between looks at `current`; raising it delays a promotion or a roll back.",
    )
    kernel: Annotated[str, AfterValidator(_instructions)] = Field(
        default="best",
        json_schema_extra={"enum": ["best", *KERNELS]},
        description="Instructions that searches of the catalogue use; all give the same answers, the best soonest.",
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
    max_bodies_bytes: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=2**40,
        description="Bytes of all bodies together that are being read or answered, a process; beyond it 429.",
    )

    max_connections: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Connections open at once, a process. One more takes the place of who is slow to say what they "
        "want, or of the longest idle one, or gets 503. Never more than the limit of descriptors (`ulimit -n`) less "
        "256, or a quarter of it. 0: 4,096.",
    )
    max_connections_per_address: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Of these, from one client's address (IPv6: /64); one more takes the place of one of "
        "these in the same way, or gets 429. 0: half of all.",
    )
    idle_timeout_seconds: float = Field(
        default=75.0,
        gt=0,
        le=86_400,
        description="Seconds that a connection without a request stays open; longer than the load "
        "balancer's, so that that one closes first.",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds a client may take to send a request's head; a slower one gets 408.",
    )
    max_head_bytes: int = Field(
        default=16_384, ge=2048, le=1_048_576, description="Bytes of a request's head; a longer one gets 431."
    )
    max_headers: int = Field(
        default=100, ge=64, le=10_000, description="Headers of a request; one with more gets 431."
    )
    unread_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Seconds a client may leave answers unread before its connection is dropped.",
    )
    max_unread_bytes: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=2**40,
        description="Bytes of answers that all clients leave unread, a process; beyond it the slowest is dropped.",
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

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        default="",
        repr=False,
        description="redis://, rediss:// or unix:// address of one server; empty runs without Redis.",
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

    experiments: str = Field(
        default="",
        description="TOML file that declares experiments, followed while the service runs; empty for none.",
    )
    sampled_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of answers that the monitor scores again with every model; raising it costs the monitor.",
    )
    exposure_max_records: int = Field(
        default=50_000,
        ge=0,
        le=10_000_000,
        description="Answers kept for the live log while Redis is away; more are dropped and counted. 0 logs no "
        "answer: nothing can be monitored, judged or estimated then.",
    )
    exposure_max_bytes: int = Field(
        default=33_554_432,
        ge=65_536,
        le=2**40,
        description="Bytes of such answers; what goes beyond is dropped and counted.",
    )
    exposure_stream_length: int = Field(
        default=100_000,
        ge=1000,
        le=10**9,
        description="Answers that the live log in Redis keeps, about 400 bytes each; the oldest go first.",
    )

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
        description="Seconds of traffic that the monitor judges together; raising it finds smaller shifts, later.",
    )
    monitor_min_records: int = Field(
        default=500,
        ge=1,
        le=10_000_000,
        description="Records that such a window holds at least; one that has fewer stays open.",
    )
    monitor_min_scored: int = Field(
        default=200,
        ge=30,
        le=1_000_000,
        description="Sampled requests that a window of disagreement holds at least.",
    )
    outcome_window_seconds: float = Field(
        default=1800.0,
        gt=0,
        le=604_800,
        description="Seconds after an answer in which a click or purchase counts for it, in the monitor's accuracy.",
    )
    monitor_max_answers: int = Field(
        default=500_000,
        ge=1000,
        le=100_000_000,
        description="Answers that the monitor remembers until their outcome is known, about 1.5 kB each.",
    )

    spool: str = Field(
        default="",
        description="Folder where accepted events are written before anything else; empty: `spool` beside the store.",
    )
    spool_bytes: int = Field(
        default=1_073_741_824,
        ge=1_048_576,
        le=2**50,
        description="Bytes of events on disk, a process; beyond it POST /events answers 503.",
    )
    spool_keep_seconds: float = Field(
        default=86_400.0,
        ge=0,
        le=31_536_000,
        description="Seconds that events stay on disk after Redis has them, unless exported before.",
    )
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

    admin_keys_file: str = Field(
        default="",
        description="File of operators' keys, a line `name:key` each, followed while the service runs; empty closes "
        "/admin, DELETE /people and DELETE /sessions.",
    )
    admin_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="TCP port of /admin, DELETE /people and DELETE /sessions, on the same host; 0 has them on "
        "the main port.",
    )
    audit_log: str = Field(
        default="", description="File of operators' changes; empty: `audit.jsonl` in the spool's folder."
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


def spool_folder(settings: Settings) -> Path:
    """Where accepted events are written first."""
    return Path(settings.spool) if settings.spool else settings.store.parent / "spool"


def audit_file(settings: Settings) -> Path:
    """Where operators' changes are written down."""
    return Path(settings.audit_log) if settings.audit_log else spool_folder(settings) / "audit.jsonl"


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
        value = str(field.default).lower() if isinstance(field.default, bool) else field.default
        default = "(empty)" if value == "" else f"`{value}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {_bound(name)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _bound(name: str) -> str:
    schema = Settings.model_json_schema()["properties"][name]
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if schema.get("type") == "boolean":
        return "true, false"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]:,}" for key, sign in signs.items() if key in schema]
    return ", ".join(bounds) or "–"


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        setting = "_".join(map(str, fault["loc"]))
        name = f"{PREFIX}{setting}".upper()
        if setting in _SECRETS:
            yield f"{name} cannot be used: {fault['ctx']['error']}"
        else:
            yield f"{name} is {str(fault['input'])[:60]!r}: {fault['msg'].lower()}"


if __name__ == "__main__":
    print(settings_page(), end="")
