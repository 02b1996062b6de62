"""Keep rows of text in a scratch file that polars scans in batches: for tables that it cannot read as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

LINE: Final = "__line__"
"""The column with the number of the line at which a row begins, from 1."""
SURPLUS: Final = "__surplus__"
"""The column with what a row has beyond its last column; null if nothing."""
BATCH_ROWS: Final = 50_000


class Row(NamedTuple):
    """One row of a table: the line at which it begins, from 1, and its cells."""

    line: int
    cells: Sequence[str | None]


def write_rows(rows: Iterable[Row], columns: Sequence[str], folder: Path) -> pl.LazyFrame:
    """Write rows to Parquet files in `folder`, and return them as a lazy table of text with LINE and SURPLUS.

    A short row is filled with nulls. Cells beyond the last column, unless they are empty, are joined in SURPLUS.
    """
    schema: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(columns, pl.String),
        SURPLUS: pl.String,
        LINE: pl.Int64,
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        _write_batch(batch, schema, folder / f"{number:06}.parquet")
        for number, batch in enumerate(_batches(rows))
    ]
    return pl.scan_parquet(files) if files else pl.LazyFrame(schema=schema)


def _write_batch(batch: Sequence[Row], schema: dict[str, type[pl.DataType]], file: Path) -> Path:
    n_columns = len(schema) - 2
    data = [_fitted(row.cells, n_columns, row.line) for row in batch]
    pl.DataFrame(data, schema=schema, orient="row").write_parquet(file, compression="lz4")
    return file


def _fitted(cells: Sequence[str | None], width: int, line: int) -> tuple[str | int | None, ...]:
    missing = width - len(cells)
    if missing >= 0:
        return (*cells, *[None] * missing, None, line)
    surplus = [cell for cell in cells[width:] if cell and cell.strip()]
    return (*cells[:width], " ".join(surplus) if surplus else None, line)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_ROWS)):
        yield batch
