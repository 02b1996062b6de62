"""What a return says: the purchase before it was none to repeat, and the item was not liked.

A row that says return or refund, or has a quantity below zero, is no event of its own. It turns the last purchase of
its person and item before it into a dislike, at the moment of the return. One of fewer pieces than were bought leaves
the purchase as it is: the rest was kept. Where a return says no quantity, what happened in one second is one, as in
live histories (models/removals.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from models.history import EventKind
from models.removals import RETURN

SENT_BACK: Final = "purchase that was sent back, taken as a dislike from then on"

_PAIR: Final = ["user_id", "item_id"]


def with_sent_back(rows: pl.DataFrame, is_return: pl.Expr, is_usable: pl.Expr) -> tuple[pl.DataFrame, int]:
    """Turn purchases that were sent back into dislikes; return the rows in their order, and how many these are.

    rows: user_id, item_id, time, kind, value, arrival, is_returned and, if the table has it, quantity. is_return:
    which rows are returns. is_usable: which rows are not left out for another reason. Rows that repeat another count
    once, as everywhere, and share its fate.
    """
    placed = rows.with_row_index("row")
    returns = placed.filter(is_return & is_usable)
    if returns.is_empty():
        return rows, 0
    is_purchase = (pl.col("kind") == EventKind.PURCHASE) & ~pl.col("is_returned")
    purchases = placed.filter(is_purchase & is_usable).join(returns, on=_PAIR, how="semi")
    quantity = pl.col("quantity").abs() if "quantity" in rows.columns else pl.lit(None, pl.Float32)
    told = pl.col(*_PAIR, "time", "row", "value", "arrival"), quantity.alias("quantity")
    both = pl.concat(
        [
            purchases.select(*told, is_return=pl.lit(False)),
            returns.select(*told, is_return=pl.lit(True)),
        ]
    )
    once = (
        both.group_by(pl.exclude("row"), maintain_order=True)
        .agg("row")
        .with_columns(first=pl.col("row").list.first())
        .sort(*_PAIR, "time", "is_return", "first")
    )
    moments = _moments(once.select(*_PAIR, "time", "first", "quantity", "is_return").iter_rows())
    if not moments:
        return rows, 0
    of_first = pl.DataFrame(
        {"first": list(moments), "sent_back": list(moments.values())},
        schema={"first": pl.UInt32, "sent_back": pl.Int64},
    )
    repeated = once.select("first", "row").explode("row")
    found = of_first.join(repeated, on="first").select("row", "sent_back")
    is_back = pl.col("sent_back").is_not_null()
    marked = rows.with_row_index("row").join(found, on="row", how="left", maintain_order="left")
    changed = marked.with_columns(
        time=pl.coalesce("sent_back", "time"),
        kind=pl.when(is_back).then(pl.lit(int(EventKind.DISLIKE), pl.UInt8)).otherwise("kind"),
    )
    return changed.drop("row", "sent_back"), len(moments)


def without_returns(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Apply returns among events, of which none says a quantity, and leave them out.

    events: user_id, item_id, time, kind (with `RETURN`) and further columns. Returns what is left, and how many
    purchases were sent back.
    """
    is_return = pl.col("kind") == RETURN
    told = events.with_columns(value=pl.lit(1.0), arrival=pl.lit(0), is_returned=pl.lit(False))
    told, n_sent_back = with_sent_back(told, is_return, pl.lit(True))
    return events.with_columns(told["time"], told["kind"]).filter(~is_return), n_sent_back


def _moments(rows: Iterable[tuple[str, str, int, int, float | None, bool]]) -> dict[int, int]:
    """Return by row of a purchase when it was sent back. rows: by person, item and time, returns after purchases."""
    moments: dict[int, int] = {}
    pair, kept, last_whole = ("", ""), list[tuple[int, int, float | None]](), -1
    for user_id, item_id, time, row, quantity, is_return in rows:
        if pair != (user_id, item_id):
            pair, kept, last_whole = (user_id, item_id), [], -1
        if not is_return:
            kept.append((row, time, quantity))
        elif quantity is None:
            if kept and time != last_whole:
                second = kept[-1][1]
                while kept and kept[-1][1] == second:
                    moments[kept.pop()[0]] = time
            last_whole = time
        else:
            left = quantity
            while kept and (kept[-1][2] or 1.0) <= left:
                bought, _, pieces = kept.pop()
                moments[bought] = time
                left -= pieces or 1.0
    return moments
