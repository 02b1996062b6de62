"""Read ids as text, so that the shop asks with the id that training learned."""

from __future__ import annotations

from typing import Final

import polars as pl

from training.data.meaning.missing import NOBODY

_GROUPED: Final = r"^\d{1,3}(?:,\d{3})*$"


def id_text(column: str, schema: pl.Schema) -> pl.Expr:
    """Convert ids to text without blanks around them. Whole floats (integers with gaps) lose their '.0'."""
    raw = pl.col(column)
    if not schema[column].is_float():
        return raw.cast(pl.String).str.strip_chars()
    whole = raw.cast(pl.Int64, strict=False)
    return pl.when(raw == whole).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))


def without_shared_zeros(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Take '.0' from ids where every id of the column has it: numbers that went through a table of floats."""
    for column in columns:
        told = rows[column].drop_nulls()
        told = (
            told.filter(~told.str.to_lowercase().is_in(NOBODY))
            if _may_share(told.head(100))
            else told.head(0)
        )
        if len(told) and told.str.contains(r"^-?\d+\.0+$").all():
            rows = rows.with_columns(pl.col(column).str.replace(r"\.0+$", ""))
    return rows


def without_thousands(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Take commas from ids where the whole column is written like 1,234, as spreadsheets show numbers."""
    for column in columns:
        told = rows[column].drop_nulls()
        if told.head(100).str.contains(_GROUPED).all() and told.str.contains(_GROUPED).all():
            rows = rows.with_columns(pl.col(column).str.replace_all(",", "", literal=True))
    return rows


def _may_share(first: pl.Series) -> bool:
    return bool(first.filter(~first.str.to_lowercase().is_in(NOBODY)).str.ends_with(".0").all())
