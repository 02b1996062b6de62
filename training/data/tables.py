"""A shop's own tables: interactions and items as CSV (plain or .gz) or Parquet, with its own column names.

In come one or several files and a `ColumnMapping`; out goes a `Shop`. Files are read in batches and cleaned
by column, so 20 million interactions fit in a few GiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from time import time as now
from typing import Any

import polars as pl

from models.history import EventKind
from training.data.archives import require_bounded_text
from training.data.availability import all_available, availability_column, is_unreadable
from training.data.cleaning import collect, column_names, drop_bad_rows, id_reasons, is_blank, require_columns
from training.data.columns import ColumnUse, uses_of
from training.data.shop import ITEM_SCHEMA, DropReport, Shop, assemble_shop
from training.data.times import (
    EARLIEST_SECONDS,
    TimeFormat,
    detect_time_format,
    unix_seconds,
)
from training.errors import SettingsInvalid, SourceUnreadable

TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz")

_TIME_SAMPLE_ROWS = 10_000


@dataclass(frozen=True)
class ColumnMapping:
    """Which column of the shop's tables holds what. The defaults are Stillroom's own names.

    kind, value, item_title, item_text, item_category and item_price may be absent under their default name;
    a name given here must be there.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    time: str = "time"
    """Unix seconds, Unix milliseconds, ISO 8601 text, or a date type of Parquet: found out by looking."""
    kind: str = "kind"
    """`EventKind` names in any case, or codes. Without this column every row is of `default_kind`."""
    value: str = "value"
    """A rating or an amount of money. Without this column every row has the value 1."""
    items_item_id: str = "item_id"
    item_title: str = "title"
    item_text: tuple[str, ...] = ("text",)
    """Columns worth reading; they are joined behind the title."""
    item_category: str = "category"
    item_price: str = "price"
    item_available: tuple[str, ...] = ()
    """Columns that say whether an item may be recommended, by all of them; if not given, the first of
    `availability.NAMES` that is there."""
    default_kind: EventKind = EventKind.PURCHASE


def parse_columns(text: str) -> ColumnMapping | None:
    """Read `user_id=customer,item_text=name+description` into a mapping; an empty text is no mapping.

    Raises `SettingsInvalid` naming the fields that can be mapped.
    """
    if not text:
        return None
    names = {field.name for field in fields(ColumnMapping)} - {"default_kind"}
    chosen: dict[str, Any] = {}
    for part in text.split(","):
        name, _, column = (piece.strip() for piece in part.partition("="))
        if name not in names or not column:
            raise SettingsInvalid(f"{part!r} maps nothing: write field=column, field one of {sorted(names)}.")
        chosen[name] = tuple(column.split("+")) if name in ("item_text", "item_available") else column
    return ColumnMapping(**chosen)


def read_tables(
    interactions: Sequence[Path], items: Path | None, mapping: ColumnMapping | None = None, *, name: str
) -> Shop:
    """Read interactions (one table in one or several files) and, where there is one, the item table.

    Raises `ColumnMissing` where the mapping asks for a column that is not there, `SourceUnreadable` where a
    file is missing or damaged.
    """
    mapping = mapping or ColumnMapping()
    events, dropped, time_format, columns = _read_interactions(interactions, mapping)
    item_table, item_notes, item_columns = _read_items(items, mapping)
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


def scan_table(paths: Sequence[Path]) -> pl.LazyFrame:
    """Open a table lazily. CSV columns are all text, so that an id like 007 keeps its zeros."""
    for path in paths:
        if not path.is_file():
            raise SourceUnreadable(f"There is no file {path}.")
        if not path.name.endswith(TABLE_SUFFIXES):
            raise SourceUnreadable(f"{path} is not one of {', '.join(TABLE_SUFFIXES)}.")
        if not path.name.endswith(".parquet"):
            require_bounded_text(path)
    if paths[0].name.endswith(".parquet"):
        return pl.scan_parquet(list(paths))
    return pl.scan_csv(list(paths), infer_schema=False)


def _read_interactions(
    paths: Sequence[Path], mapping: ColumnMapping
) -> tuple[pl.DataFrame, DropReport, TimeFormat, tuple[ColumnUse, ...]]:
    table = scan_table(paths)
    found = column_names(table, paths[0])
    kind = _optional(mapping.kind, ColumnMapping.kind, found)
    value = _optional(mapping.value, ColumnMapping.value, found)
    needed = [mapping.user_id, mapping.item_id, mapping.time, kind, value]
    require_columns(found, [column for column in needed if column is not None], paths[0])
    sample = collect(table.select(mapping.time).head(_TIME_SAMPLE_ROWS), paths[0])
    time_format = detect_time_format(sample[mapping.time])
    schema = table.collect_schema()
    rows = collect(
        table.select(
            user_id=_id_text(mapping.user_id, schema),
            item_id=_id_text(mapping.item_id, schema),
            time=unix_seconds(mapping.time, time_format),
            kind=_kind_codes(kind) if kind else pl.lit(mapping.default_kind, pl.UInt8),
            value=pl.col(value).cast(pl.Float32, strict=False) if value else pl.lit(1.0, pl.Float32),
            is_valued=pl.col(value).cast(pl.String).fill_null("") != "" if value else pl.lit(True),
        ),
        paths[0],
    )
    kept, dropped = drop_bad_rows(rows, _reasons())
    is_number = pl.col("value").is_finite().fill_null(False)
    n_wrong = kept.select((pl.col("is_valued") & ~is_number).sum()).item()  # an empty one is not wrong
    notes = {"value that is no number, taken as 1": n_wrong}
    return (
        kept.with_columns(value=pl.when(is_number).then("value").otherwise(1.0)).drop("is_valued"),
        dropped.with_notes(notes),
        time_format,
        uses_of(
            paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more",
            found,
            _uses(
                {
                    "person": mapping.user_id,
                    "item": mapping.item_id,
                    "time": mapping.time,
                    "kind": kind,
                    "value": value,
                }
            ),
        ),
    )


def _uses(roles: Mapping[str, Sequence[str] | str | None]) -> dict[str, list[str]]:
    """By column what it is used for; roles: by use the column, or columns, that have it. One may have several."""
    uses: dict[str, list[str]] = {}
    for use, columns in roles.items():
        for column in [columns] if isinstance(columns, str) else columns or ():
            uses.setdefault(column, []).append(use)
    return uses


def _optional(column: str, default: str, found: Sequence[str]) -> str | None:
    """None where a column is absent and the mapping did not ask for it by a name of its own."""
    return None if column == default and column not in found else column


def _reasons() -> dict[str, pl.Expr]:
    time = pl.col("time")
    return {
        **id_reasons(),
        "unreadable time": time.is_null(),
        "time before 1990": time < EARLIEST_SECONDS,
        "time more than a day in the future": time > int(now()) + 86_400,
        "unknown kind": pl.col("kind").is_null(),
    }


def _id_text(column: str, schema: pl.Schema) -> pl.Expr:
    """Ids as text. A column of whole floats (integers with gaps, once through pandas) loses its '.0'."""
    raw = pl.col(column)
    if not schema[column].is_float():
        return raw.cast(pl.String)
    whole = raw.cast(pl.Int64, strict=False)
    return pl.when(raw == whole).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))


def _kind_codes(column: str) -> pl.Expr:
    """`EventKind` codes from names in any case or from codes; null for anything else."""
    known = {kind.name.lower(): kind.value for kind in EventKind} | {
        str(kind.value): kind.value for kind in EventKind
    }
    return (
        pl.col(column)
        .cast(pl.String)
        .str.strip_chars()
        .str.to_lowercase()
        .replace_strict(known, default=None, return_dtype=pl.UInt8)
    )


def _read_items(
    path: Path | None, mapping: ColumnMapping
) -> tuple[pl.DataFrame, dict[str, int], tuple[ColumnUse, ...]]:
    """Return the item table in the common form, how many of its rows were left out and why, and its columns."""
    if path is None:
        return pl.DataFrame(schema=ITEM_SCHEMA), {}, ()
    table = scan_table([path])
    found = column_names(table, path)
    title = _optional(mapping.item_title, ColumnMapping.item_title, found)
    category = _optional(mapping.item_category, ColumnMapping.item_category, found)
    price = _optional(mapping.item_price, ColumnMapping.item_price, found)
    is_textless = mapping.item_text == ColumnMapping.item_text and not set(mapping.item_text) & set(found)
    texts = () if is_textless else mapping.item_text
    says_available = availability_column(found)
    available = mapping.item_available or ((says_available,) if says_available else ())
    needed = [mapping.items_item_id, title, category, price, *texts, *available]
    require_columns(found, [column for column in needed if column is not None], path)
    item_id = _id_text(mapping.items_item_id, table.collect_schema())
    rows = collect(
        table.select(
            item_id=item_id,
            title=_words(title) if title else pl.lit(""),
            text=_words_of_all(texts),
            category=_words(category) if category else pl.lit(None, pl.String),
            price=_price(price) if price else pl.lit(None, pl.Float32),
            available=all_available(available),
            is_unreadable=is_unreadable(available),
        ),
        path,
    )
    usable = rows.filter(~is_blank("item_id"))
    unique = usable.unique("item_id", keep="first", maintain_order=True)
    notes = {
        "row of the item table without an item id": rows.height - usable.height,
        "row of the item table that repeats an item id; the first row counts": usable.height - unique.height,
        f"availability in {'+'.join(available)} that cannot be read, taken as available": int(
            unique["is_unreadable"].sum()
        ),
    }
    roles = {
        "item": mapping.items_item_id,
        "title": title,
        "text": texts,
        "category": category,
        "price": price,
        "available": available,
    }
    return (
        unique.drop("is_unreadable").with_columns(**_worded()),
        notes,
        uses_of(path.name, found, _uses(roles)),
    )


def _words(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).fill_null("").str.strip_chars()


def _words_of_all(columns: Sequence[str]) -> pl.Expr:
    if not columns:
        return pl.lit("")
    joined = pl.concat_str([_words(column) for column in columns], separator=" ")
    return joined.str.replace_all(r"\s+", " ").str.strip_chars()


def _price(column: str) -> pl.Expr:
    price = pl.col(column).cast(pl.Float32, strict=False)
    return pl.when(price.is_finite() & (price >= 0)).then(price)


def _worded() -> dict[str, pl.Expr]:
    """The id stands in for an empty title; the text begins with the title, said once."""
    title = pl.when(pl.col("title") == "").then("item_id").otherwise("title")
    named = pl.col("title") != ""
    text = pl.col("text")
    says_title = text.str.starts_with(pl.col("title"))
    return {
        "title": title,
        "text": pl.when(named & ~says_title)
        .then(pl.concat_str("title", text, separator=". ").str.strip_suffix(". "))
        .otherwise(text),
        "category": pl.when(pl.col("category") != "").then("category"),
    }
