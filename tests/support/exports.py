"""Exports in this process, of what a test ships as a service does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import redis

from service.events.stream import add_commands
from service.log.export.run import Exported, opened, tell_services
from service.log.export.sources import LogStreams, SpoolFolder
from service.log.records import (
    SpooledBatch,
)

TABLES = ("interactions", "visits", "impressions", "removals")


def ship(client: redis.Redis, *batches: SpooledBatch, max_entries: int = 10**6) -> None:
    """As a service does."""
    for batch in batches:
        for command in add_commands(batch, 86_400, max_entries):
            client.execute_command(*command)  # type: ignore[no-untyped-call]


def export(out: Path, client: redis.Redis | None = None, spool: Path | None = None) -> Exported:
    """One run, in this process."""
    with opened(out) as exporting:
        if spool is not None:
            exporting.read_spool(SpoolFolder(spool))
        if client is not None:
            exporting.read_streams(LogStreams(client))
            tell_services(client, exporting, keep_hours=0)
        exporting.finish(remember_days=7)
        return exporting.done


def exported_ids(out: Path, tables: Sequence[str] = TABLES) -> list[str]:
    """Ids of all events in an export; an event that is there twice is in it twice."""
    parts = [path for name in tables for path in sorted((out / name).glob("part-*.parquet"))]
    return sorted(event_id for path in parts for event_id in pl.read_parquet(path)["event_id"].to_list())


def event_ids(*batches: SpooledBatch) -> list[str]:
    """Ids of all events of batches."""
    return sorted(one.event_id for batch in batches for one in batch.events)
