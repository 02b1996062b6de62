"""An export of the live log, with the very tables that the exporter writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from service.log.export.tables import as_table
from service.log.records import ErasureRecord, EventRecord, ExposureRecord


def write_part(
    folder: Path, table: str, records: Sequence[EventRecord | ErasureRecord | ExposureRecord]
) -> None:
    """One more part of a table."""
    (folder / table).mkdir(parents=True, exist_ok=True)
    number = len(list((folder / table).iterdir()))
    pq.write_table(as_table(table, records), folder / table / f"part-{number:06}.parquet")


def event(number: int, user_id: str, item_id: str, time: int, kind: str = "purchase") -> EventRecord:
    """Accepted when it happened."""
    return EventRecord(f"event-{number}", kind, item_id, time, 1000 * time, user_id=user_id)
