"""Open a shop's tables lazily, to be read in batches: CSV, plain or gzipped, and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.archives import require_bounded_text

TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def scan_table(paths: Sequence[Path]) -> pl.LazyFrame:
    """Open a table lazily. CSV columns are read as text, so that an id like 007 keeps its zeros."""
    for path in paths:
        if not path.is_file():
            raise SourceUnreadable(f"There is no file {path}.")
        if not path.name.endswith(TABLE_SUFFIXES):
            raise SourceUnreadable(f"{path} is not one of {', '.join(TABLE_SUFFIXES)}.")
        if not path.name.endswith(".parquet"):
            require_bounded_text(path)
    if paths[0].name.endswith(".parquet"):
        return pl.scan_parquet(list(paths))
    return pl.scan_csv(list(paths), infer_schema=False)


def id_text(column: str, schema: pl.Schema) -> pl.Expr:
    """Convert ids to text. Whole floats (integers with gaps that went through pandas) lose their '.0'."""
    raw = pl.col(column)
    if not schema[column].is_float():
        return raw.cast(pl.String)
    whole = raw.cast(pl.Int64, strict=False)
    return pl.when(raw == whole).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))
