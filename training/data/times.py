"""Read times as shops write them: Unix seconds or milliseconds, dates, or ISO 8601 text.

`detect_time_format` looks at the first rows and says what it found; `unix_seconds` turns the whole column
into seconds, with null where a value cannot be read.
"""

from __future__ import annotations

from enum import StrEnum

import polars as pl

EARLIEST_SECONDS = 631_152_000
"""1990-01-01: no web shop sold before it, so earlier times are zeros, or days counted as seconds."""

# Halfway, on a logarithmic scale, between the year 2100 in seconds and 1990 in milliseconds.
_SECONDS_BELOW = 5e10

_ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z")


class TimeFormat(StrEnum):
    """The way in which a column of times is written."""

    UNIX_SECONDS = "Unix seconds"
    UNIX_MILLISECONDS = "Unix milliseconds"
    ISO_8601 = "ISO 8601"
    DATE_TYPE = "a date type of the file"


def detect_time_format(sample: pl.Series) -> TimeFormat:
    """Say how these times are written, judging by what most of the values can be read as.

    sample: a few thousand values of the column; nulls are ignored. Without a single readable value the answer
    is ISO 8601.
    """
    if sample.dtype.is_temporal():
        return TimeFormat.DATE_TYPE
    numbers = sample.cast(pl.Float64, strict=False).drop_nulls()
    dates = (
        sample.alias("t").to_frame().select(unix_seconds("t", TimeFormat.ISO_8601)).to_series().drop_nulls()
    )
    if len(dates) > len(numbers) or numbers.is_empty():
        return TimeFormat.ISO_8601
    middle = numbers.sort().item(len(numbers) // 2)
    return TimeFormat.UNIX_SECONDS if middle < _SECONDS_BELOW else TimeFormat.UNIX_MILLISECONDS


def unix_seconds(column: str, time_format: TimeFormat) -> pl.Expr:
    """Convert a column to whole Unix seconds, rounded down; null where a value is not of this format.

    Text without an offset is read as UTC, as are dates without a time of day.
    """
    raw = pl.col(column)
    if time_format is TimeFormat.DATE_TYPE:
        return raw.cast(pl.Datetime("us")).dt.epoch("s")
    if time_format is TimeFormat.ISO_8601:
        return _iso_seconds(raw.cast(pl.String))
    divisor = 1000.0 if time_format is TimeFormat.UNIX_MILLISECONDS else 1.0
    seconds = raw.cast(pl.Float64, strict=False) / divisor
    # 2^53 seconds are beyond any calendar; NaN and infinities would not survive the cast.
    return pl.when(seconds.is_finite() & (seconds.abs() < 2.0**53)).then(
        seconds.floor().cast(pl.Int64, strict=False)
    )


def _iso_seconds(text: pl.Expr) -> pl.Expr:
    """Normalise the many spellings of ISO 8601 to one with a time and an offset, then parse that."""
    spelled = (
        text.str.strip_chars()
        .str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]", "${1}T")
        .str.replace(r"(T[\d:]+),(\d+)", "${1}.${2}")
        .str.replace(r"\s*(?:[zZ]|UTC)$", "+00:00")
        .str.replace(r"(T[\d:.]+)$", "${1}+00:00")
        .str.replace(r"([+-]\d{2})$", "${1}:00")
    )
    parsed = [
        spelled.str.to_datetime(spelling, time_unit="us", time_zone="UTC", strict=False)
        for spelling in _ISO_FORMATS
    ]
    return pl.coalesce(parsed).dt.epoch("s")
