"""Read a shop in any layout: look at a path, recognise the layout, and call the loader for it.

The pipeline and the command line call `read_shop`; the answer's `layout` says what was recognised.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from training.base.errors import SourceUnreadable
from training.data.cleaning import column_names
from training.data.column_mapping import ColumnMapping
from training.data.movielens import is_movielens, read_movielens
from training.data.online_retail import COLUMNS as ONLINE_RETAIL_COLUMNS
from training.data.online_retail import read_online_retail
from training.data.scanning import TABLE_SUFFIXES, scan_table
from training.data.shop import Shop
from training.data.tables import read_tables

LAYOUTS = (
    "the UCI Online Retail table (.csv, .csv.gz)",
    "MovieLens 100K or 1M (its folder or its .zip)",
    "a Stillroom folder (interactions.parquet, .csv, .csv.gz or interactions/part-*.parquet, with items.* and "
    "removals/part-*.parquet)",
    "a table of interactions (.parquet, .csv, .csv.gz), with a column mapping where its names differ",
)


class ShopFiles(NamedTuple):
    """The paths of a shop's events and items, and the mapping of their columns."""

    source: Path
    mapping: ColumnMapping | None = None
    items: Path | None = None

    def read(self) -> Shop:
        """Read the files; see `read_shop`."""
        return read_shop(self.source, mapping=self.mapping, items=self.items)


def read_shop(source: Path, *, mapping: ColumnMapping | None = None, items: Path | None = None) -> Shop:
    """Recognise the layout of `source` and read it.

    mapping: the shop's own column names; if given, a file is read as a table whatever its header says.
    items: the item table that belongs to a table of interactions; a folder has its own.
    Raises `SourceUnreadable` with the known layouts if none fits, and whatever the loaders raise.
    """
    if not source.exists():
        raise SourceUnreadable(f"There is nothing at {source}.")
    if source.is_dir() or source.suffix == ".zip":
        return _read_collection(source, mapping, items)
    if not source.name.endswith(TABLE_SUFFIXES):
        raise _unknown(source)
    if mapping is None and _is_online_retail(source):
        return read_online_retail(source)
    return read_tables([source], items, mapping, name=source.name.partition(".")[0])


def _read_collection(source: Path, mapping: ColumnMapping | None, items: Path | None) -> Shop:
    if is_movielens(source):
        return read_movielens(source)
    interactions = _interaction_files(source) if source.is_dir() else []
    if not interactions:
        raise _unknown(source)
    return read_tables(
        interactions,
        items or _one_table(source, "items"),
        mapping,
        name=source.name,
        removals=_parts(source, "removals"),
    )


def _interaction_files(folder: Path) -> list[Path]:
    """List the files of a folder's interactions; parts are read in the order of their names."""
    whole = _one_table(folder, "interactions")
    return [whole] if whole else _parts(folder, "interactions")


def _parts(folder: Path, table: str) -> list[Path]:
    return sorted((folder / table).glob("part-*.parquet"))


def _one_table(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}{suffix}" for suffix in TABLE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _is_online_retail(source: Path) -> bool:
    return set(ONLINE_RETAIL_COLUMNS) <= set(column_names(scan_table([source]), source))


def _unknown(source: Path) -> SourceUnreadable:
    known = "; ".join(LAYOUTS)
    return SourceUnreadable(f"{source} is in no layout known here. Known are: {known}.")
