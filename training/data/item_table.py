"""Read a shop's item table: ids, titles, texts, categories, prices, and which items may be recommended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from training.data.availability import all_available, availability_columns, is_unreadable
from training.data.cleaning import collect, column_names, is_blank, require_columns
from training.data.column_mapping import ColumnMapping, optional_column, uses_by_column
from training.data.columns import uses_of
from training.data.scanning import id_text, scan_table
from training.data.shop import ITEM_SCHEMA
from training.quality.figures import ColumnUse


def read_items(
    path: Path | None, mapping: ColumnMapping
) -> tuple[pl.DataFrame, dict[str, int], tuple[ColumnUse, ...]]:
    """Return the item table in the common form, the rows left out by reason, and the uses of its columns."""
    if path is None:
        return pl.DataFrame(schema=ITEM_SCHEMA), {}, ()
    table = scan_table([path])
    found = column_names(table, path)
    title = optional_column(mapping.item_title, ColumnMapping.item_title, found)
    category = optional_column(mapping.item_category, ColumnMapping.item_category, found)
    price = optional_column(mapping.item_price, ColumnMapping.item_price, found)
    is_textless = mapping.item_text == ColumnMapping.item_text and not set(mapping.item_text) & set(found)
    texts = () if is_textless else mapping.item_text
    available = mapping.item_available or availability_columns(found)
    needed = [mapping.items_item_id, title, category, price, *texts, *available]
    require_columns(found, [column for column in needed if column is not None], path)
    item_id = id_text(mapping.items_item_id, table.collect_schema())
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
        uses_of(path.name, found, uses_by_column(roles)),
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
    """Put the id in place of an empty title, and begin each text with the title, unless it does already."""
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
