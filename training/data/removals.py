"""Handle removals from the cart in training data, by the rule of `models.removals`, as live histories do.

A removal undoes each cart event of its person and item before it, by time and then by arrival; it is never learned
from itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.history import EventKind
from models.removals import REMOVAL, standing

REMOVAL_SCHEMA = pl.Schema(
    {"user_id": pl.String, "item_id": pl.String, "time": pl.Int64, "arrival": pl.Int64}
)
"""Columns of a shop's removals. time: Unix seconds. arrival: orders events within one second; 0 sorts first."""

UNDONE = "cart event that was taken out again"
NO_EVENT = "removal from the cart, which is no event to learn from"

EVENTS_OF_BATCH = 10_000
"""The most events in one `POST /events`. Events of a batch share the moment at which they arrived, and their place
in it orders them."""


def arrival_columns(found: Sequence[str]) -> list[str]:
    """Return the columns of an exported table that tell the order in which its rows arrived; [] if it has none."""
    return ["received_ms", "event_id"] if {"received_ms", "event_id"} <= set(found) else []


def arrivals(found: Sequence[str]) -> pl.Expr:
    """Compute the order in which rows arrived, 0 if their table does not tell. found: its columns."""
    if not arrival_columns(found):
        return pl.lit(0, pl.Int64)
    place = pl.col("event_id").cast(pl.String).str.extract(r"-(\d+)$").cast(pl.Int64, strict=False)
    received_ms = pl.col("received_ms").cast(pl.Int64, strict=False)
    in_batch = place.fill_null(0).clip(0, EVENTS_OF_BATCH - 1)
    return (received_ms.fill_null(0) * EVENTS_OF_BATCH + in_batch).cast(pl.Int64)


def removals_among(events: pl.DataFrame) -> pl.DataFrame:
    """Select the removals among rows of user_id, item_id, time, kind and arrival."""
    return events.filter(pl.col("kind") == REMOVAL).select(REMOVAL_SCHEMA.names()).cast(REMOVAL_SCHEMA)


def in_live_order(events: pl.DataFrame) -> pl.DataFrame:
    """Order the events of one second as live histories do; events stay as they are if no arrival is known.

    In live histories a repeated event is not a new one, so of equal events the first counts; of cart events, which
    may be put back, the last. events: rows of user_id, item_id, time, kind and arrival.
    """
    if not (events["arrival"] > 0).any():
        return events
    first = pl.col("arrival").min().over("user_id", "item_id", "time", "kind")
    is_cart = pl.col("kind").is_in([int(EventKind.CART), REMOVAL])
    placed = events.with_columns(place=pl.when(is_cart).then("arrival").otherwise(first))
    return placed.sort("place", maintain_order=True).drop("place")


def without_undone(events: pl.DataFrame, removals: pl.DataFrame) -> pl.DataFrame:
    """Leave out removals, and the cart events that they undo.

    events: user_id, item_id, time, kind and arrival, with or without removals; rows of one arrival are in the order
    given. removals: further removals, `REMOVAL_SCHEMA`, which come after all events of the same arrival.
    """
    more = removals.with_columns(kind=pl.lit(REMOVAL, pl.UInt8), row=pl.lit(None, pl.UInt32))
    columns = ["user_id", "item_id", "time", "kind", "arrival", "row"]
    of_carts = pl.col("kind").is_in([int(EventKind.CART), REMOVAL])  # no other kind undoes or is undone
    cart_events = pl.concat(
        [events.with_row_index("row").filter(of_carts).select(columns), more.select(columns)]
    )
    if not (cart_events["kind"] == REMOVAL).any():
        return events
    subjects = pl.concat_str(["user_id", "item_id"], separator="\0").rank("dense").cast(pl.Int64)
    stands = standing(
        cart_events.select(subjects).to_series().to_numpy(),
        cart_events["kind"].to_numpy(),
        cart_events["time"].to_numpy(),
        cart_events["arrival"].to_numpy(),
    )
    fallen = cart_events.filter(~pl.Series(stands))["row"].drop_nulls()
    is_kept = np.ones(events.height, np.bool_)
    is_kept[fallen.to_numpy()] = False
    return events.filter(pl.Series(is_kept))
