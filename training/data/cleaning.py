"""Drop unusable rows and say why: one pass over a table, one reason per dropped row.

Every loader describes its bad rows as an ordered mapping from reason to a boolean expression. Corrupt files
are translated here, so that no loader lets a polars error through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from training.data.meaning.missing import is_nobody
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
        "missing user": is_nobody(user),
        "missing item": is_nobody(item),
        f"id longer than {MAX_ID_CHARACTERS} characters": pl.any_horizontal(
            id_.str.len_chars() > MAX_ID_CHARACTERS for id_ in ids
        ),
        "id with a NUL character": pl.any_horizontal(id_.str.contains("\0", literal=True) for id_ in ids),
    }


def is_blank(column: str) -> pl.Expr:
    """True where a string column is null, empty or only white space."""
    return pl.col(column).str.strip_chars().fill_null("") == ""


def first_bad_rows(
    frame: pl.DataFrame, reasons: Mapping[str, pl.Expr], wanted: Iterable[str]
) -> dict[str, int]:
    """Return the first row, from 0, that is dropped for each of the wanted reasons."""
    earlier: list[pl.Expr] = []
    firsts = {}
    for reason, is_bad in reasons.items():
        if reason in set(wanted):
            is_first_reason = is_bad.fill_null(False) & ~pl.any_horizontal(pl.lit(False), *earlier)
            firsts[reason] = is_first_reason.arg_true().first()
        earlier.append(is_bad.fill_null(False))
    if not firsts:
        return {}
    found = {reason: frame.select(place).item() for reason, place in firsts.items()}
    return {reason: int(row) for reason, row in found.items() if row is not None}
