"""Read a shop's item table: ids, titles, texts, categories, prices, and which items may be recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl

from models.attributes import CATEGORIES
from training.data.cleaning import MAX_ID_CHARACTERS
from training.data.column_mapping import uses_by_column
from training.data.columns import uses_of
from training.data.files.tables import Part, Table
from training.data.ids import id_text, without_shared_zeros, without_thousands
from training.data.meaning.attributes import (
    MAX_VALUES,
    AttributesRead,
    cell_of,
    typed_attributes,
    with_wider_steps,
    words_of_cells,
)
from training.data.meaning.availability import all_available, is_unreadable
from training.data.meaning.categories import MEMBER, are_several, categories_of, first_category, names_within
from training.data.meaning.markup import without_markup
from training.data.meaning.missing import MISSING, is_nobody
from training.data.meaning.numbers import NumberFormat, number, number_format
from training.data.roles import ItemRoles, all_texts, sample_text
from training.data.shop import ITEM_SCHEMA, NO_ATTRIBUTES
from training.quality.figures import ColumnUse

_ALL_CATEGORIES: Final = "all categories"
OF_ATTRIBUTE: Final = "attribute "
"""Stands before a column's name while the cells of attributes are beside those of fields."""


class ItemsRead(NamedTuple):
    """Items in the common form, the rows left out or doubted by reason, and the uses of the table's columns.

    attributes: see `Shop.attributes`.
    """

    items: pl.DataFrame
    notes: dict[str, int]
    columns: tuple[ColumnUse, ...]
    attributes: pl.DataFrame = NO_ATTRIBUTES


NO_ITEMS = ItemsRead(pl.DataFrame(schema=ITEM_SCHEMA), {}, ())


def read_items(table: Table, roles: ItemRoles, *, are_events: bool = False) -> ItemsRead:
    """Read a table of items by its roles; of rows with the same id, the first that says something counts.

    are_events: the table is one of events, so that an id is expected to come back.
    """
    written = _price_format(table, roles.price)
    own = {f"{OF_ATTRIBUTE}{column}": column for column in ([] if are_events else roles.attributes)}
    cells = [*own, _ALL_CATEGORIES]
    rows = table.select(lambda part: _expressions(part, roles, written) + _cells(part, own))
    if roles.parent is not None:
        rows = _inherited(rows, cells)
    usable = without_shared_zeros(rows.filter(~is_nobody("item_id") & (pl.col("item_id") != "")), "item_id")
    usable = without_thousands(usable, "item_id")
    unique = _first_told(usable, cells)
    # Of several categories the first is the item's category; all are an attribute, and words of the text.
    have_several = are_several(unique[_ALL_CATEGORIES])
    told = typed_attributes(
        unique.select("item_id", *own).rename(own),
        are_named=roles.are_attributes_named,
        has_categories=have_several,
    )
    if have_several:
        told = _with_categories(told, unique[_ALL_CATEGORIES], roles.categories)
    n_unpriced = int((unique["is_priced"] & unique["price"].is_null()).sum())
    notes = {
        f"availability in {'+'.join(roles.available)} that cannot be read, taken as available": int(
            unique["is_unreadable"].sum()
        ),
        f"price in {roles.price} that cannot be read": n_unpriced,
    }
    if not are_events:
        notes = {
            "row of the item table without an item id": rows.height - usable.height,
            "row of the item table that repeats an item id; the first row counts": usable.height
            - unique.height,
        } | notes
    more = pl.concat_str(
        "text",
        *([_words_of_categories()] if have_several else []),
        *(f"{OF_ATTRIBUTE}{each}" for each in told.texts),
        separator=" ",
        ignore_nulls=True,
    )
    items = unique.with_columns(
        text=more.str.strip_chars(), category=first_category(pl.col(_ALL_CATEGORIES))
    ).drop("is_unreadable", "is_priced", *cells)
    return ItemsRead(
        items.with_columns(**_worded()),
        notes | told.notes,
        item_uses(table, roles, told.uses),
        told.table,
    )


def _price_format(table: Table, price: str | None) -> NumberFormat:
    """Find how prices are written; whole ones at the beginning do not tell a decimal comma from one of thousands."""
    if price is None:
        return NumberFormat.PLAIN
    sample = sample_text(table, price)
    written = number_format(sample)
    if written is not NumberFormat.DECIMAL_COMMAS and not sample.str.contains(r"\.\d{1,2}\D*$").any():
        written = number_format(all_texts(table, price).drop_nulls())
    # A table of items is small, and one price in a thousand may have a sign.
    return NumberFormat.DECORATED if written is NumberFormat.PLAIN else written


def _with_categories(told: AttributesRead, cells: pl.Series, columns: Sequence[str]) -> AttributesRead:
    """Add all categories of the items as an attribute. cells: by item. columns: in which they are told."""
    categories = words_of_cells(
        cells, lambda cell: with_wider_steps(cell.split(MEMBER), max_characters=MAX_ID_CHARACTERS)
    )
    n_distinct = categories.drop_nulls().explode().n_unique()
    if n_distinct > MAX_VALUES:
        fault = f"{n_distinct:,} different categories, {MAX_VALUES:,} allowed; only the first of each item is read"
        return told._replace(notes={**told.notes, fault: len(cells)})
    uses = {**told.uses, **dict.fromkeys(columns, f"attribute {CATEGORIES}, words")}
    return told._replace(table=told.table.with_columns(categories.alias(CATEGORIES)), uses=uses)


def item_uses(table: Table, roles: ItemRoles, of_attributes: Mapping[str, str]) -> tuple[ColumnUse, ...]:
    """Say what each column of a table of items is used for. of_attributes: by column."""
    uses = {
        "item": roles.item_id,
        "title": roles.title,
        "text": roles.texts,
        "category": roles.categories,
        "price": roles.price,
        "available": roles.available,
    }
    found = uses_by_column(uses)
    for column, use in of_attributes.items():
        found[column] = [*found.get(column, ()), use]
    return uses_of(table.name, table.columns, found)


def _cells(part: Part, own: Mapping[str, str]) -> list[pl.Expr]:
    """Return the cells of attributes as text, null in a part without the column. own: columns by their names here."""
    schema = part.frame.collect_schema()
    return [
        (cell_of(column, schema) if column in schema else pl.lit(None, pl.String)).alias(name)
        for name, column in own.items()
    ]


def _expressions(part: Part, roles: ItemRoles, written: NumberFormat) -> list[pl.Expr]:
    schema = part.frame.collect_schema()
    here = set(schema.names())
    ids = [id_text(each, schema) for each in roles.item_id if each in here]
    texts = [each for each in roles.texts if each in here]
    available = [each for each in roles.available if each in here]
    price = pl.lit(None, pl.Float64)
    if roles.price is not None and roles.price in here:
        is_number = schema[roles.price].is_numeric()
        price = (
            pl.col(roles.price).cast(pl.Float64)
            if is_number
            else number(pl.col(roles.price).cast(pl.String), written)
        )
    priced = _words(roles.price) != "" if roles.price in here and roles.price else pl.lit(False)
    return [
        (ids[0] if ids else pl.lit(None, pl.String)).alias("item_id"),
        (_words(roles.title) if roles.title in here and roles.title else pl.lit("")).alias("title"),
        _words_of_all(texts).alias("text"),
        categories_of([each for each in roles.categories if each in here]).alias(_ALL_CATEGORIES),
        pl.when(price.is_finite() & (price >= 0)).then(price).cast(pl.Float32).alias("price"),
        all_available(available).alias("available"),
        is_unreadable(available).alias("is_unreadable"),
        priced.alias("is_priced"),
        (
            _parent(id_text(roles.parent, schema))
            if roles.parent in here and roles.parent
            else pl.lit(None, pl.String)
        ).alias("parent"),
    ]


def _inherited(rows: pl.DataFrame, own: Sequence[str]) -> pl.DataFrame:
    """Fill what a variant leaves out with what the row of its parent says, or else the first row that shares it.

    own: columns of attributes and categories.
    """
    told = {name: pl.when(pl.col(name) != "").then(name) for name in ("title", "text", *own)}
    rows = rows.with_columns(**told)
    is_told = pl.col("parent").is_not_null()
    parents = rows.select(parent="item_id", **{f"{name} of parent": name for name in told})
    firsts = rows.filter(is_told).select("parent", **{f"{name} of first": name for name in told})
    of_both = rows.join(
        parents.unique("parent", keep="first", maintain_order=True),
        on="parent",
        how="left",
        maintain_order="left",
    ).join(
        firsts.unique("parent", keep="first", maintain_order=True),
        on="parent",
        how="left",
        maintain_order="left",
    )
    filled = of_both.with_columns(
        **{name: pl.coalesce(name, f"{name} of parent", f"{name} of first") for name in told}
    ).select(rows.columns)
    return filled.with_columns(pl.col("title", "text").fill_null(""))


def _parent(told: pl.Expr) -> pl.Expr:
    """Return the parent's id; databases write 0 or -1 where there is none."""
    bare = told.str.replace(r"\.0+$", "")
    return pl.when(~bare.str.to_lowercase().is_in([*MISSING, "0", "-1"])).then(bare)


def _first_told(rows: pl.DataFrame, own: Sequence[str]) -> pl.DataFrame:
    """Keep one row an id: of each column the first cell that says something."""
    told = {name: pl.col(name).filter(pl.col(name) != "").first().fill_null("") for name in ("title", "text")}
    return rows.group_by("item_id", maintain_order=True).agg(
        **told,
        price=pl.col("price").drop_nulls().first(),
        available=pl.col("available").first(),
        is_unreadable=pl.col("is_unreadable").first(),
        is_priced=pl.col("is_priced").any(),
        **{name: pl.col(name).drop_nulls().first() for name in own},
    )


def _words(column: str) -> pl.Expr:
    text = without_markup(pl.col(column).cast(pl.String).fill_null(""))
    return pl.when(text.str.to_lowercase().is_in(MISSING)).then(pl.lit("")).otherwise(text)


def _words_of_categories() -> pl.Expr:
    return pl.col(_ALL_CATEGORIES).str.replace_all(f"{MEMBER}| > ", " ")


def _words_of_all(columns: Sequence[str]) -> pl.Expr:
    if not columns:
        return pl.lit("")
    told = [_without_brackets(_words(column)) for column in columns]
    joined = pl.concat_str(told, separator=" ")
    return joined.str.replace_all(r"[\s|>]+", " ").str.strip_chars()


def _without_brackets(text: pl.Expr) -> pl.Expr:
    """Write a list as words: `['Oak', 'Pine']` becomes Oak Pine."""
    is_list = text.str.contains(r"^\[.*\]$")
    bare = names_within(text).str.strip_chars("[]").str.replace_all(r"""(?:^|\s)['"]|['"](?:,|$)""", " ")
    return pl.when(is_list).then(bare).otherwise(text)


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
    }
