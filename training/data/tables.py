"""Read a shop's own tables: interactions and items as CSV (plain or .gz) or Parquet, with its own column names.

One or several files and a `ColumnMapping` go in; a `Shop` comes out. Files are read in batches and cleaned by column,
so 20 million interactions fit in a few GiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from training.data.column_mapping import ColumnMapping
from training.data.interactions import read_interactions
from training.data.item_table import read_items
from training.data.removals import (
    NO_EVENT,
    REMOVAL_SCHEMA,
    UNDONE,
    in_live_order,
    removals_among,
    without_undone,
)
from training.data.shop import Shop, assemble_shop
from training.quality.figures import ColumnUse


def read_tables(
    interactions: Sequence[Path],
    items: Path | None,
    mapping: ColumnMapping | None = None,
    *,
    name: str,
    removals: Sequence[Path] = (),
) -> Shop:
    """Read interactions (one table in one or several files) and the item table, if there is one.

    removals: the table of removals from the cart, as an export of the live log has it. Interactions of the kind
    "removal" count alike. Both undo the same events as in live histories.
    Raises `ColumnMissing` if the mapping names a column that is not there, `SourceUnreadable` if a file is missing
    or damaged.
    """
    mapping = mapping or ColumnMapping()
    rows, dropped, time_format, columns = read_interactions(interactions, mapping)
    own_removals = removals_among(rows)
    exported, columns = _read_removals(removals, mapping, columns)
    rows = in_live_order(rows)
    events = without_undone(rows, exported)
    n_undone = rows.height - own_removals.height - events.height
    dropped = dropped.without(NO_EVENT, own_removals.height).without(UNDONE, n_undone)
    item_table, item_notes, item_columns = read_items(items, mapping)
    layout = f"tables of interactions and items, {len(interactions)} file(s), time as {time_format}"
    return assemble_shop(
        name,
        events,
        item_table,
        dropped.with_notes(item_notes),
        layout,
        columns=columns + item_columns,
        has_item_table=items is not None,
        removals=pl.concat([own_removals, exported]),
    )


def _read_removals(
    paths: Sequence[Path], mapping: ColumnMapping, columns: tuple[ColumnUse, ...]
) -> tuple[pl.DataFrame, tuple[ColumnUse, ...]]:
    """Read the table of removals, and append its columns to those given."""
    if not paths:
        return pl.DataFrame(schema=REMOVAL_SCHEMA), columns
    rows, _, _, own_columns = read_interactions(paths, mapping)
    return removals_among(rows), columns + own_columns
