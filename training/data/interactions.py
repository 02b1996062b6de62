"""Read a shop's table of interactions, in one or several files, as clean events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import time as now

import polars as pl

from models.history import EventKind
from models.removals import REMOVAL
from training.data.cleaning import collect, column_names, drop_bad_rows, id_reasons, require_columns
from training.data.column_mapping import ColumnMapping, optional_column, uses_by_column
from training.data.columns import uses_of
from training.data.removals import arrival_columns, arrivals
from training.data.scanning import id_text, scan_table
from training.data.shop import DropReport
from training.data.times import EARLIEST_SECONDS, TimeFormat, detect_time_format, unix_seconds
from training.quality.figures import ColumnUse

_TIME_SAMPLE_ROWS = 10_000


def read_interactions(
    paths: Sequence[Path], mapping: ColumnMapping
) -> tuple[pl.DataFrame, DropReport, TimeFormat, tuple[ColumnUse, ...]]:
    """Return clean rows of user_id, item_id, time, kind, value and arrival; a drop report; the time format; columns.

    kind: `EventKind` codes, and `REMOVAL` for removals from the cart. Raises as `read_tables` does.
    """
    table = scan_table(paths)
    found = column_names(table, paths[0])
    kind = optional_column(mapping.kind, ColumnMapping.kind, found)
    value = optional_column(mapping.value, ColumnMapping.value, found)
    needed = [mapping.user_id, mapping.item_id, mapping.time, kind, value]
    require_columns(found, [column for column in needed if column is not None], paths[0])
    sample = collect(table.select(mapping.time).head(_TIME_SAMPLE_ROWS), paths[0])
    time_format = detect_time_format(sample[mapping.time])
    schema = table.collect_schema()
    rows = collect(
        table.select(
            user_id=id_text(mapping.user_id, schema),
            item_id=id_text(mapping.item_id, schema),
            time=unix_seconds(mapping.time, time_format),
            arrival=arrivals(found),
            kind=_kind_codes(kind) if kind else pl.lit(mapping.default_kind, pl.UInt8),
            value=pl.col(value).cast(pl.Float32, strict=False) if value else pl.lit(1.0, pl.Float32),
            is_valued=pl.col(value).cast(pl.String).fill_null("") != "" if value else pl.lit(True),
        ),
        paths[0],
    )
    kept, dropped = drop_bad_rows(rows, _reasons())
    is_number = pl.col("value").is_finite().fill_null(False)
    n_wrong = kept.select((pl.col("is_valued") & ~is_number).sum()).item()  # an empty value is not wrong
    notes = {"value that is no number, taken as 1": n_wrong}
    return (
        kept.with_columns(value=pl.when(is_number).then("value").otherwise(1.0)).drop("is_valued"),
        dropped.with_notes(notes),
        time_format,
        uses_of(
            _table_name(paths),
            found,
            uses_by_column(
                {
                    "person": mapping.user_id,
                    "item": mapping.item_id,
                    "time": mapping.time,
                    "kind": kind,
                    "value": value,
                    "order of one second": arrival_columns(found),
                }
            ),
        ),
    )


def _table_name(paths: Sequence[Path]) -> str:
    """Return the name of a file or, for parts, of their folder."""
    if not paths[0].name.startswith("part-"):
        return paths[0].name
    return (
        f"{paths[0].parent.name}/part-*{paths[0].suffix} ({len(paths)} file{'s' if len(paths) > 1 else ''})"
    )


def _reasons() -> dict[str, pl.Expr]:
    time = pl.col("time")
    return {
        **id_reasons(),
        "unreadable time": time.is_null(),
        "time before 1990": time < EARLIEST_SECONDS,
        "time more than a day in the future": time > int(now()) + 86_400,
        "unknown kind": pl.col("kind").is_null(),
    }


def _kind_codes(column: str) -> pl.Expr:
    """Convert names in any case, or codes, to `EventKind` codes, "removal" to `REMOVAL`, anything else to null."""
    known = {kind.name.lower(): kind.value for kind in EventKind} | {
        str(kind.value): kind.value for kind in EventKind
    }
    known["removal"] = REMOVAL
    return (
        pl.col(column)
        .cast(pl.String)
        .str.strip_chars()
        .str.to_lowercase()
        .replace_strict(known, default=None, return_dtype=pl.UInt8)
    )
