"""A shop's own tables: interactions and items as CSV (plain or .gz) or Parquet, with its own column names.

In come one or several files and a `ColumnMapping`; out goes a `Shop`. Files are read in batches and cleaned
by column, so 20 million interactions fit in a few GiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.data.column_mapping import ColumnMapping
from training.data.interactions import read_interactions
from training.data.item_table import read_items
from training.data.shop import Shop, assemble_shop


def read_tables(
    interactions: Sequence[Path], items: Path | None, mapping: ColumnMapping | None = None, *, name: str
) -> Shop:
    """Read interactions (one table in one or several files) and, where there is one, the item table.

    Raises `ColumnMissing` where the mapping asks for a column that is not there, `SourceUnreadable` where a
    file is missing or damaged.
    """
    mapping = mapping or ColumnMapping()
    events, dropped, time_format, columns = read_interactions(interactions, mapping)
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
    )
