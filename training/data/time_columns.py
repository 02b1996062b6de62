"""Find how a table of events writes its times, file by file where they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.files.tables import Table
from training.data.meaning.times import TimeFormat, detect_time_format, unix_seconds
from training.data.options import ReadingOptions
from training.data.roles import EventRoles, all_texts, sample_text

PLACES: Final = (TimeFormat.ORDER, TimeFormat.ROWS)
"""Formats that tell an order and no times."""


def find_time_format(table: Table, roles: EventRoles, options: ReadingOptions) -> TimeFormat | str:
    """Find how times are written, or take what a person says.

    Raises SourceUnreadable if there is no column of times, or if it does not tell days from months.
    """
    if options.time_format is not None:
        if options.time_format is not TimeFormat.ROWS and roles.time is None:
            raise _timeless(table)
        return options.time_format
    if roles.time is None:
        raise _timeless(table)
    if table.sample[roles.time].dtype.is_temporal():
        return TimeFormat.DATE_TYPE
    found = detect_time_format(sample_text(table, roles.time))
    if found is TimeFormat.DAY_OR_MONTH:
        found = detect_time_format(all_texts(table, roles.time))
    if found is TimeFormat.DAY_OR_MONTH and (both := _both_orders(table, roles.time)) is not None:
        first = detect_time_format(sample_text(Table(table.parts[0].path.name, table.parts[:1]), roles.time))
        if len(table.parts) > 1 and first is not TimeFormat.DAY_OR_MONTH:
            return first  # each file is looked at by itself
        raise SourceUnreadable(
            f"{table.name}: some times in {roles.time!r} begin with the day, such as {both[0]!r}, and others with "
            f"the month, such as {both[1]!r}. Write all alike, for example as 2024-12-31, or give each kind a file "
            "of its own."
        )
    if found is TimeFormat.DAY_OR_MONTH:
        example = next(iter(sample_text(table, roles.time)), "")
        raise SourceUnreadable(
            f"{table.name}: the times in {roles.time!r}, such as {example!r}, may begin with the day or with the "
            "month, and no row tells. Say which: --time-format day-first or --time-format month-first."
        )
    return found


def _both_orders(table: Table, column: str) -> tuple[str, str] | None:
    """Return a time that only begins with the day, and one that only begins with the month, if there are both."""
    told = all_texts(table, column).rename("t").to_frame()
    read = told.with_columns(
        day=unix_seconds("t", TimeFormat.DAY_FIRST), month=unix_seconds("t", TimeFormat.MONTH_FIRST)
    )
    day = read.filter(pl.col("day").is_not_null() & pl.col("month").is_null())["t"]
    month = read.filter(pl.col("month").is_not_null() & pl.col("day").is_null())["t"]
    return (day[0], month[0]) if len(day) and len(month) else None


def formats_of_parts(
    table: Table, roles: EventRoles, usual: TimeFormat | str
) -> dict[tuple[Path, str], TimeFormat | str]:
    """Return the format of each file that writes times otherwise than most do; they are looked at one by one."""
    formats: dict[tuple[Path, str], TimeFormat | str] = {}
    for part in table.parts:
        if roles.time is None or roles.time not in part.columns or usual in PLACES:
            continue
        own = Table(part.path.name, (part,))
        told = sample_text(own, roles.time)
        if told.is_empty() or own.sample[roles.time].dtype.is_temporal():
            continue
        found = detect_time_format(told)
        if found not in (usual, TimeFormat.DAY_OR_MONTH, *PLACES):
            formats[part.path, part.sheet] = found
    return formats


def _timeless(table: Table) -> SourceUnreadable:
    return SourceUnreadable(
        f"{table.name} has no column of times; it has {', '.join(map(repr, table.columns))}. Name it with --columns "
        "time=COLUMN; if no column tells and the rows stand in the order in which they happened, say --time-format "
        "rows."
    )
