"""Drop unusable rows and say why: one pass over a table, one reason per dropped row.

Every loader describes its bad rows as an ordered mapping from reason to a boolean expression. Corrupt files
are translated here, so that no loader lets a polars error through.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from training.base.errors import ColumnMissing, SourceUnreadable
from training.data.shop import DropReport

MAX_ID_CHARACTERS = 256
"""The most characters of an id: ids are part of requests, cache keys and the bundle's vocabulary; longer ones are
mistakes."""

_REASON = "__reason__"


def drop_bad_rows(frame: pl.DataFrame, reasons: Mapping[str, pl.Expr]) -> tuple[pl.DataFrame, DropReport]:
    """Drop each row to which a reason applies, and count it under the first that does.

    reasons: reason -> boolean expression, true where the row is bad; a null answer means "not bad".
    """
    # Go from the last reason to the first, so that the first that applies is outermost.
    verdict = pl.lit(None, pl.UInt8)
    for code, is_bad in reversed(list(enumerate(reasons.values()))):
        verdict = pl.when(is_bad.fill_null(False)).then(pl.lit(code, pl.UInt8)).otherwise(verdict)
    judged = frame.with_columns(verdict.alias(_REASON))
    kept = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
    counts = dict(judged[_REASON].drop_nulls().value_counts().rows())
    dropped = {reason: int(counts.get(code, 0)) for code, reason in enumerate(reasons)}
    return kept, DropReport(frame.height, kept.height, dropped)


def id_reasons(user: str = "user_id", item: str = "item_id") -> dict[str, pl.Expr]:
    """Return the reasons for which an interaction's ids cannot be used."""
    ids = [pl.col(user), pl.col(item)]
    return {
        "missing user": is_blank(user),
        "missing item": is_blank(item),
        f"id longer than {MAX_ID_CHARACTERS} characters": pl.any_horizontal(
            id_.str.len_chars() > MAX_ID_CHARACTERS for id_ in ids
        ),
        "id with a NUL character": pl.any_horizontal(id_.str.contains("\0", literal=True) for id_ in ids),
    }


def is_blank(column: str) -> pl.Expr:
    """True where a string column is null, empty or only white space."""
    return pl.col(column).str.strip_chars().fill_null("") == ""


def collect(frame: pl.LazyFrame, source: Path) -> pl.DataFrame:
    """Read a lazy table in batches; raise `SourceUnreadable` where the file is damaged."""
    try:
        return frame.collect(engine="streaming")
    except (PolarsError, OSError) as error:
        raise unreadable(source, error) from error


def column_names(frame: pl.LazyFrame, source: Path) -> list[str]:
    """Return a lazy table's columns; raise `SourceUnreadable` where its header cannot be read."""
    try:
        return frame.collect_schema().names()
    except (PolarsError, OSError) as error:
        raise unreadable(source, error) from error


def require_columns(found: list[str], needed: list[str], source: Path) -> None:
    """Raise `ColumnMissing`, naming what is missing and what is there."""
    missing = [name for name in needed if name not in found]
    if missing:
        raise ColumnMissing(
            f"{source} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. "
            "Name the right ones with --columns field=column,field=column."
        )


def unreadable(source: Path, error: Exception) -> SourceUnreadable:
    """Make the error for a damaged file: its path and the first line of what its reader said."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return SourceUnreadable(f"{source} cannot be read: {reason}. Check that the file is whole.")
