"""What is read of one file of events: the columns of each row, in a few types, before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from training.data.files.tables import SURPLUS, Part
from training.data.ids import id_text
from training.data.kind_words import KindWords
from training.data.meaning.numbers import NumberFormat, number
from training.data.meaning.times import TimeFormat, clock_seconds, unix_seconds
from training.data.removals import arrivals
from training.data.roles import EventRoles
from training.data.time_columns import PLACES

_BACK: Final = (
    r"(?:refund(?:ed|s)?|void(?:ed)?|cancell?(?:ed|ation)?|return(?:ed|s)?|chargeback|charged back|storn\w*"
    r"|\w*erstattet|retour\w*|anulad\w*|devuel\w*|devolu\w*|rembours\w*|reembols\w*|annul\w*)"
)
_RETURNED: Final = rf"\b{_BACK}\b"
_NOT_RETURNED: Final = (
    rf"\b(?:not|no|non|never|nicht|kein\w*|pas|sin)\s+(?:yet\s+)?{_BACK}\b|\b(?:partial|teil|parcial)"
)
"""What turns it round; of an order that is refunded in part it is not known which line went back, and most stay."""


def event_columns(
    part: Part,
    roles: EventRoles,
    time_format: TimeFormat | str,
    written: Mapping[str, NumberFormat],
    words: KindWords,
) -> list[pl.Expr]:
    """Return user_id, item_id, time, arrival, word, value, is_valued, is_returned, is_long and, if the table has it,
    quantity; a column that a part lacks is empty there.

    written: how numbers are written, by column. words: of kinds.
    """
    schema = part.frame.collect_schema()
    here = set(schema.names())

    def numbers(column: str | None) -> pl.Expr | None:
        if column is None or column not in here:
            return None
        if schema[column].is_numeric():
            return pl.col(column).cast(pl.Float64)
        return number(pl.col(column).cast(pl.String), written[column])

    value, quantity = numbers(roles.value), numbers(roles.quantity)
    amount = value if value is not None else quantity
    is_valued = (
        pl.col(roles.value).cast(pl.String).fill_null("") != "" if value is not None and roles.value else None
    )
    returned = [pl.lit(False)]
    if roles.status in here and roles.status is not None:
        returned.append(means_returned(_status(roles, here).str.to_lowercase()))
    if quantity is not None:
        returned.append(quantity < 0)
    # Twenty million rows without a quantity would carry 80 MB of nothing.
    told = pl.lit(None) if quantity is None else quantity
    # No number, and none at all, say nothing of how many pieces went back.
    counted = pl.when(told.is_finite() & (told != 0)).then(told) if quantity is not None else told
    pieces = [] if roles.quantity is None else [counted.cast(pl.Float32).alias("quantity")]
    ids = {"user_id": [roles.user_id], "item_id": [each for each in roles.item_id if each in here]}
    return [
        *(
            _first_told([id_text(each, schema) for each in columns if each in here]).alias(name)
            for name, columns in ids.items()
        ),
        (_time(part, roles.time, time_format, schema) + _clock(roles, time_format, here)).alias("time"),
        arrivals(part.columns).alias("arrival"),
        (words.places(roles.kind) if roles.kind in here and roles.kind else pl.lit(None, pl.UInt8)).alias(
            "word"
        ),
        (pl.lit(1.0) if amount is None else amount).cast(pl.Float32).alias("value"),
        (pl.lit(True) if is_valued is None else is_valued).alias("is_valued"),
        *pieces,
        pl.any_horizontal(each.fill_null(False) for each in returned).alias("is_returned"),
        (pl.col(SURPLUS).is_not_null() if SURPLUS in here else pl.lit(False)).alias("is_long"),
    ]


def means_returned(state: pl.Expr) -> pl.Expr:
    """Whether a word for the state of an order, in lower case, says that it was returned or cancelled."""
    spelled = state.str.replace_all(r"[_-]", " ")
    return spelled.str.contains(_RETURNED) & ~spelled.str.contains(_NOT_RETURNED)


def _status(roles: EventRoles, here: set[str]) -> pl.Expr:
    """Return the status of each row's order; exports write it in the first row of an order alone."""
    status = pl.col(roles.status or "").cast(pl.String)
    if roles.order is None or roles.order not in here:
        return status
    told = pl.when(status.str.strip_chars() != "").then(status)
    return told.forward_fill().over(roles.order)


def _first_told(ids: list[pl.Expr]) -> pl.Expr:
    if len(ids) == 1:
        return ids[0]
    return pl.coalesce(pl.when(each != "").then(each) for each in ids) if ids else pl.lit(None, pl.String)


def _time(part: Part, column: str | None, time_format: TimeFormat | str, schema: pl.Schema) -> pl.Expr:
    if time_format is TimeFormat.ROWS or column is None or column not in schema:
        return pl.lit(None, pl.Int64)
    if schema[column].is_temporal():
        return unix_seconds(column, TimeFormat.DATE_TYPE)
    is_text = schema[column] == pl.String
    return unix_seconds(pl.col(column).str.strip_chars() if is_text else column, time_format)


def _clock(roles: EventRoles, time_format: TimeFormat | str, here: set[str]) -> pl.Expr:
    """Return the seconds since midnight that a column of its own tells, 0 if none does."""
    if roles.clock is None or roles.clock not in here or time_format in PLACES:
        return pl.lit(0, pl.Int64)
    return clock_seconds(pl.col(roles.clock).cast(pl.String)).fill_null(0)
