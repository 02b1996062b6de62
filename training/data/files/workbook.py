"""Read a workbook (.xlsx): each sheet that holds a table, whatever stands above its header."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl

from training.base.errors import SourceUnreadable
from training.data.files.archives import require_bounded_workbook
from training.data.files.dialect import Dialect, find_dialect
from training.data.files.errors import unreadable
from training.data.files.rows_file import LINE, SURPLUS

MAX_WORKBOOK_BYTES: Final = 2 << 30
"""Unpacked bytes of a workbook; a sheet of a million rows has 200 MB."""
SAMPLE_ROWS: Final = 200


def open_workbook(
    path: Path, names: frozenset[str], *, has_header: bool | None
) -> dict[str, tuple[pl.LazyFrame, Dialect]]:
    """Return the sheets that are tables, by name: text columns with SURPLUS and LINE, and their header.

    names: plain names of columns that only a header holds. Raises SourceUnreadable if it is no workbook or has no
    table.
    """
    require_bounded_workbook(path.read_bytes(), str(path), max_bytes=MAX_WORKBOOK_BYTES)
    try:
        book = fastexcel.read_excel(path)
        sheets = {
            name: book.load_sheet(name, header_row=None, dtypes="string").to_polars()
            for name in book.sheet_names
        }
    except fastexcel.FastExcelError as error:
        raise unreadable(path, error) from error
    tables = {
        name: _table(cells, names, has_header)
        for name, cells in sheets.items()
        if cells.height > 1 and cells.width > 1
    }
    if not tables:
        raise SourceUnreadable(f"{path} has no sheet with two rows and two columns.")
    return tables


def _table(
    cells: pl.DataFrame, names: frozenset[str], has_header: bool | None
) -> tuple[pl.LazyFrame, Dialect]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        ["" if cell is None else cell.replace("\n", " ") for cell in row]
        for row in cells.head(SAMPLE_ROWS).rows()
    )
    dialect = find_dialect(text.getvalue(), names, delimiter=",", has_header=has_header)
    n_above = dialect.n_skipped + dialect.has_header
    frame = (
        cells.rename(dict(zip(cells.columns, dialect.columns, strict=True)))
        .with_row_index(LINE, offset=1)
        .with_columns(pl.col(LINE).cast(pl.Int64), pl.lit(None, pl.String).alias(SURPLUS))
        .slice(n_above)
    )
    return frame.lazy(), dialect
