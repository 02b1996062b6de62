"""Why a row of a table of events is no event: each reason, where it applies, and an example of it."""

from __future__ import annotations

from time import time as now
from typing import Final

import polars as pl

from models.removals import RETURN
from training.data.cleaning import first_bad_rows, id_reasons
from training.data.files.tables import Table
from training.data.meaning.kinds import DROP
from training.data.meaning.times import EARLIEST_SECONDS
from training.data.roles import EventRoles
from training.data.shop import DropReport

BLANK = "blank line"
RETURNED = "return or refund"
LEFT_OUT = "kind left out on purpose"
REPEATED = "exact repetition of another row"
ON_PURPOSE = frozenset({BLANK, RETURNED, LEFT_OUT, REPEATED})
"""Reasons for which rows are left out as they should be, however many there are."""

_COLUMN_OF_REASON: Final = {
    "unreadable time": "time",
    "time before 1990": "time",
    "time more than a day in the future": "time",
    "unknown kind": "kind",
    "missing user": "user_id",
    "missing item": "item_id",
}


def drop_reasons(*, keeps_returns: bool = False) -> dict[str, pl.Expr]:
    """Return the reasons for which a row is left out, in order, and where each applies."""
    time = pl.col("time")
    is_empty = (
        (pl.col("user_id").fill_null("") == "") & (pl.col("item_id").fill_null("") == "") & time.is_null()
    )
    return {
        BLANK: is_empty & ~pl.col("is_long"),
        "more cells than columns": pl.col("is_long"),
        **id_reasons(),
        "unreadable time": time.is_null(),
        "time before 1990": time < EARLIEST_SECONDS,
        "time more than a day in the future": time > int(now()) + 86_400,
        "missing kind": pl.col("kind").is_null() & pl.col("word").is_null(),
        "unknown kind": pl.col("kind").is_null(),
        RETURNED: ((pl.col("kind") == RETURN) & (not keeps_returns)) | pl.col("is_returned"),
        LEFT_OUT: pl.col("kind") == DROP,
    }


def is_return(*, has_quantity: bool) -> pl.Expr:
    """Whether a row is a return of its own, and no purchase of an order that went back."""
    is_own = pl.col("kind") == RETURN
    if has_quantity:
        is_own |= pl.col("is_returned") & (pl.col("quantity") < 0)
    return is_own.fill_null(False)


def is_usable() -> pl.Expr:
    """Whether nothing but what it means can keep a row from being an event: its ids, its time and its cells."""
    meanings = ("missing kind", "unknown kind", RETURNED, LEFT_OUT)
    faults = [is_bad.fill_null(False) for reason, is_bad in drop_reasons().items() if reason not in meanings]
    return ~pl.any_horizontal(faults)


def examples_of(table: Table, roles: EventRoles, rows: pl.DataFrame, dropped: DropReport) -> dict[str, str]:
    """Say where the first row of each reason stands, and what is in it."""
    wanted = {
        reason: is_bad
        for reason, is_bad in drop_reasons().items()
        if dropped.dropped.get(reason) and reason != BLANK
    }
    examples = {}
    for reason, row in first_bad_rows(rows, drop_reasons(), wanted).items():
        role = _COLUMN_OF_REASON.get(reason)
        columns = {
            "time": roles.time,
            "kind": roles.kind,
            "user_id": roles.user_id,
            "item_id": roles.item_id[0],
        }
        column = columns[role] if role else None
        cell = table.cell(row, column) if column else None
        examples[reason] = f"first in {table.line_of(row)}{f': {cell!r}' if cell is not None else ''}"
    return examples
