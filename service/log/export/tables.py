"""The tables of an export and their columns. Each table is a folder of parts that `make train DATA=` can read.

Only what people did themselves is an interaction. Visits without a person, impressions, and removals from the cart
have tables of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pyarrow as pa

from service.log.records import ErasureRecord, EventRecord, ExposureRecord

EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("time", pa.int64()),
        ("value", pa.float64()),
        ("request_id", pa.string()),
        ("received_ms", pa.int64()),
    ]
)
EXPOSURES = pa.schema(
    [
        ("request_id", pa.string()),
        ("sent_ms", pa.int64()),
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("unit", pa.string()),
        ("item_ids", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float64())),
        ("version", pa.string()),
        ("variant", pa.string()),
        ("tier", pa.string()),
        ("degraded", pa.string()),
        ("placement", pa.string()),
        ("experiment", pa.string()),
        ("arm", pa.string()),
        ("propensity", pa.float64()),
        ("took_us", pa.int64()),
        ("n_history", pa.int64()),
        ("n_session", pa.int64()),
        ("n_unknown_items", pa.int64()),
    ]
)
ERASURES = pa.schema([("event_id", pa.string()), ("user_id", pa.string()), ("received_ms", pa.int64())])

SCHEMAS: dict[str, pa.Schema] = {
    "interactions": EVENTS,
    "visits": EVENTS,
    "impressions": EVENTS,
    "removals": EVENTS,
    "exposures": EXPOSURES,
    "erasures": ERASURES,
}
MOMENT_COLUMNS = {
    "interactions": "received_ms",
    "visits": "received_ms",
    "impressions": "received_ms",
    "removals": "received_ms",
    "exposures": "sent_ms",
}
"""For each table about people, the column that is compared with an erasure's moment."""

_OF_KIND = {"impression": "impressions", "removal": "removals"}

Record = EventRecord | ExposureRecord | ErasureRecord


def table_of(record: Record) -> str:
    """Return which table a record belongs to."""
    if isinstance(record, ExposureRecord):
        return "exposures"
    if isinstance(record, ErasureRecord):
        return "erasures"
    return _OF_KIND.get(record.kind, "interactions" if record.user_id is not None else "visits")


def as_table(name: str, records: Iterable[Record]) -> pa.Table:
    """Convert records of one table to Arrow."""
    schema = SCHEMAS[name]
    return pa.Table.from_pylist([_row(record) for record in records], schema=schema)


def _row(record: Record) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    row.pop("said_ms", None)  # only erasures have it
    if isinstance(record, ExposureRecord):
        row["scores"] = record.unpacked_scores()
    return row
