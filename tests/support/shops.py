"""Data written out by hand, where a test needs to know every event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.attributes import ItemAttributes
from models.history import EventKind, History
from models.packed_histories import Histories
from training.data.dataset import (
    Catalogue,
    Dataset,
    Interactions,
    PredictionTime,
    first_event_times,
    index_shop,
)
from training.data.shop import ITEM_SCHEMA, DropReport, assemble_shop


def dataset_of(events: Sequence[tuple[str, str, int]]) -> Dataset:
    """From (user_id, item_id, Unix seconds); events of one second keep the order given."""
    table = pl.DataFrame(events, schema=["user_id", "item_id", "time"], orient="row").with_columns(
        kind=pl.lit(EventKind.PURCHASE, pl.UInt8), value=pl.lit(1.0, pl.Float32)
    )
    report = DropReport(table.height, table.height)
    return index_shop(assemble_shop("by hand", table, pl.DataFrame(schema=ITEM_SCHEMA), report, "a list"))


def interactions_of(
    *histories: History, n_items: int, until: int = 2_000, prediction_time: PredictionTime = "now"
) -> Interactions:
    """One person a history; items are called by their index, and so are their texts."""
    names, packed = [str(item) for item in range(n_items)], Histories.from_list(histories)
    catalogue = Catalogue(
        names,
        names,
        [None] * n_items,
        np.ones(n_items, np.float32),
        first_event_times(packed, n_items),
        np.ones(n_items, np.bool_),
        ItemAttributes.none(n_items),
    )
    return Interactions(packed, catalogue, until, prediction_time)
