"""Bring the attributes of a shop's items into arrays by item_index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.attributes import UNKNOWN_FLAG, Attribute, Flags, ItemAttributes, Numbers, Words, edges_of
from models.vocabulary import StringTable


def attributes_of(told: pl.DataFrame, item_ids: Sequence[str]) -> ItemAttributes:
    """Return the attributes of these items, in their order. told: see `Shop.attributes`; it may have more items."""
    items = pl.DataFrame({"item_id": item_ids}, schema={"item_id": pl.String})
    table = items.join(told, on="item_id", how="left", maintain_order="left")
    return ItemAttributes(
        len(item_ids), {name: _attribute(table[name]) for name in table.columns if name != "item_id"}
    )


def _attribute(told: pl.Series) -> Attribute:
    if told.dtype == pl.Boolean:
        return Flags(told.cast(pl.Int8).fill_null(UNKNOWN_FLAG).to_numpy())
    if told.dtype == pl.Float32:
        numbers = told.fill_null(float("nan")).to_numpy()
        return Numbers(numbers, edges_of(numbers))
    counts = told.list.len().fill_null(0).to_numpy()
    words = told.drop_nulls().explode().drop_nulls()
    values = words.unique().sort()
    codes = words.replace_strict(values, pl.int_range(len(values), eager=True), return_dtype=pl.Int32)
    offsets = np.zeros(len(told) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Words(StringTable.from_strings(values), codes.to_numpy(), offsets)
