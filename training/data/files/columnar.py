"""Open a columnar file (Parquet, Feather) as plain columns: what is nested is brought into columns and rows.

Structures become columns named by their path, lists of plain values become text, and a list of structures, such as
the items of an order, makes one row of each.
"""

from __future__ import annotations

import json
from typing import Final

import polars as pl

from training.data.files.json_table import LIST_SEPARATOR, NAMES, OF_CATEGORIES

MAX_DEPTH: Final = 6
"""Structures within structures that are opened; deeper ones are left out."""


def is_nested(frame: pl.LazyFrame) -> bool:
    """Whether any column is a list or a structure."""
    return any(dtype.is_nested() for dtype in frame.collect_schema().dtypes())


def flattened(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return the table without nested columns. Of several lists of structures, the first makes the rows."""
    has_spread = False
    for _ in range(MAX_DEPTH):
        schema = frame.collect_schema()
        structs = [name for name, dtype in schema.items() if isinstance(dtype, pl.Struct)]
        lists = [name for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]
        if not structs and not lists:
            return frame
        for name in structs:
            frame = _unnested(frame, name, schema)
        for name in lists:
            inner = schema[name].inner  # type: ignore[attr-defined]  # lists and arrays have one
            if not inner.is_nested():
                frame = frame.with_columns(
                    pl.col(name).cast(pl.List(pl.String)).list.join(LIST_SEPARATOR, ignore_nulls=True)
                )
            elif isinstance(inner, pl.Struct) and (named := _name_of_categories(name, inner)) is not None:
                names = pl.col(name).list.eval(pl.element().struct.field(named)).cast(pl.List(pl.String))
                frame = frame.with_columns(
                    names.map_batches(_as_json, return_dtype=pl.String, is_elementwise=True)
                )
            elif isinstance(inner, pl.Struct) and not has_spread and not _are_pairs(inner):
                has_spread = True
                frame = frame.explode(name)
            elif isinstance(inner, pl.List | pl.Array):
                frame = frame.with_columns(pl.col(name).list.eval(pl.element().explode()))
            else:
                frame = frame.drop(name)
    nested = [name for name, dtype in frame.collect_schema().items() if dtype.is_nested()]
    return frame.drop(nested)


def _unnested(frame: pl.LazyFrame, name: str, schema: pl.Schema) -> pl.LazyFrame:
    fields = schema[name].fields  # type: ignore[attr-defined]  # structures have them
    own = [pl.col(name).struct.field(field.name).alias(f"{name}.{field.name}") for field in fields]
    return frame.with_columns(own).drop(name)


def _name_of_categories(column: str, inner: pl.Struct) -> str | None:
    """Return the field with the names of categories, None if the structures are something else."""
    if not OF_CATEGORIES.search(column.rpartition(".")[2]):
        return None
    return next((name for name in NAMES if name in {field.name for field in inner.fields}), None)


def _as_json(lists: pl.Series) -> pl.Series:
    told = [None if each is None else json.dumps(each.to_list(), ensure_ascii=False) for each in lists]
    return pl.Series(lists.name, told, pl.String)


def _are_pairs(inner: pl.Struct) -> bool:
    return {"key", "value"} <= {field.name for field in inner.fields}
