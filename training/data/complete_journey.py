"""Read *The Complete Journey*, a year of a grocer's sales to 2,469 households, published by 84.51° (dunnhumby).

The tables `transactions` and `products` go in, as `python -m training download complete-journey` leaves them; a
`Shop` of purchases comes out. The package that carries the data calls them simulated after real shopping. Shopping
peaks at 22:00, so the times seem to be those of the American east coast in UTC; as UTC they are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from models.history import EventKind
from training.data.cleaning import drop_bad_rows, id_reasons
from training.data.columns import uses_of
from training.data.files.tables import Table
from training.data.meaning.attributes import typed_attributes
from training.data.meaning.times import detect_time_format, unix_seconds
from training.data.shelf_names import readable_name, readable_size
from training.data.shop import Shop, assemble_shop

TRANSACTION_USES = {
    "household_id": "person",
    "product_id": "item",
    "quantity": "price",
    "sales_value": "value and price",
    "transaction_timestamp": "time",
}
"""What each column of the sales is used for. A basket has one moment and needs no number; shops, discounts and weeks
are not used."""
PRODUCT_USES = {
    "product_id": "item",
    "department": "text, attribute",
    "brand": "title, text, attribute",
    "product_category": "category, title and text",
    "product_type": "title, text, attribute",
    "package_size": "title, text, attribute",
}
"""What each column of the products is used for; the number of the manufacturer is not used."""
ATTRIBUTES = ("department", "brand", "product_type", "package_size")

NO_PRODUCTS = (
    "BOTTLE DEPOSITS",
    "COUPON",
    "COUPON/MISC ITEMS",
    "COUPONS/STORE & MFG",
    "MEAT SUPPLIES",
    "PROD SUPPLIES",
)
"""Categories of what the till rings up and nobody puts on a shelf, gift cards and tickets among them."""
_STORE_BRAND = "Private"
_CRATE = re.compile(r"\d{2,}(?:\.\d+)? lb|.* count")
"""Sizes of fresh produce that are those of the crate: bananas come by 40 lb and are not sold so."""


def is_complete_journey(tables: Sequence[Table]) -> bool:
    """Whether these tables are the data set, judged by the columns of two of them; there may be further ones."""
    return _table_of(tables, TRANSACTION_USES) is not None and _table_of(tables, PRODUCT_USES) is not None


def read_complete_journey(tables: Sequence[Table], name_of_source: str) -> Shop:
    """Read the tables and return the purchases: value = what the shop received for the line, in dollars.

    Fuel goes, because nearly every basket with fuel holds nothing else: it is bought at the pump, by volume. Of a
    line of quantity 0, nothing was taken home. What was given for nothing, as the second of a pair is, stays.
    Items are those that were sold; the table of products lists a quarter more. Products of which the table says
    nothing have no row, so that they are not recommended.
    Raises `SourceUnreadable` for a damaged file.
    """
    sales_table, product_table = _table_of(tables, TRANSACTION_USES), _table_of(tables, PRODUCT_USES)
    assert sales_table is not None
    assert product_table is not None
    products = _products(product_table)
    sales = _sales(sales_table).join(
        products.select("item_id", "department", "product_category", "product_type"), on="item_id", how="left"
    )
    kept, dropped = drop_bad_rows(sales, _reasons())
    uses = {sales_table.name: TRANSACTION_USES, product_table.name: PRODUCT_USES}
    return assemble_shop(
        "complete-journey",
        kept.with_columns(kind=pl.lit(EventKind.PURCHASE, pl.UInt8)),
        _items(kept, products),
        dropped.with_notes({"product given for nothing": int((kept["value"] == 0).sum())}),
        f"The Complete Journey, {name_of_source}",
        columns=tuple(
            use for table in tables for use in uses_of(table.name, table.columns, uses.get(table.name, {}))
        ),
        has_item_table=True,
        attributes=typed_attributes(products.select("item_id", *ATTRIBUTES), are_named=True).table,
    )


def _table_of(tables: Sequence[Table], columns: dict[str, str]) -> Table | None:
    """Return the one table that has all of these columns; None if there is none, or more than one."""
    found = [table for table in tables if set(columns) <= set(table.columns)]
    return found[0] if len(found) == 1 else None


def _sales(table: Table) -> pl.DataFrame:
    """Read the sales with their types; what cannot be read becomes null, which is a reason to drop the row."""
    rows = table.select(lambda _: [pl.col(name) for name in TRANSACTION_USES])
    return rows.select(
        user_id=pl.col("household_id").cast(pl.String).str.strip_chars(),
        item_id=pl.col("product_id").cast(pl.String).str.strip_chars(),
        time=unix_seconds(
            "transaction_timestamp", detect_time_format(rows["transaction_timestamp"].head(10_000))
        ),
        quantity=pl.col("quantity").cast(pl.Float64, strict=False),
        value=pl.col("sales_value").cast(pl.Float64, strict=False),
    )


def _products(table: Table) -> pl.DataFrame:
    """Read the products as text; of rows with the same id, the first counts."""
    rows = table.select(
        lambda _: [pl.col(name).cast(pl.String).str.strip_chars().replace("", None) for name in PRODUCT_USES]
    )
    return rows.rename({"product_id": "item_id"}).unique("item_id", keep="first", maintain_order=True)


def _reasons() -> dict[str, pl.Expr]:
    quantity, value = pl.col("quantity"), pl.col("value")
    category, kind_of_product = pl.col("product_category"), pl.col("product_type")
    return {
        **id_reasons(),
        "unreadable time": pl.col("time").is_null(),
        "unreadable quantity or value": ~(quantity.is_finite() & value.is_finite()).fill_null(False),
        "return: negative quantity or value": (quantity < 0) | (value < 0),
        "quantity 0: nothing was taken home": quantity == 0,
        "fuel": (pl.col("department") == "FUEL") | kind_of_product.str.starts_with("GASOLINE"),
        "coupon, gift card or supply, not a product": category.is_in(NO_PRODUCTS),
    }


def _items(kept: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Make one row per product that was sold and of which the table says anything.

    The price is the median of what one piece brought, discounts of the shop's card taken off.
    """
    prices = (
        kept.group_by("item_id")
        .agg(price=(pl.col("value") / pl.col("quantity")).filter(pl.col("value") > 0).median())
        .sort("item_id")
    )
    sold = prices.join(products, on="item_id", how="inner").filter(
        pl.col("product_type").is_not_null() | pl.col("product_category").is_not_null()
    )
    return pl.DataFrame(
        [_item(row) for row in sold.iter_rows(named=True)],
        {
            "item_id": pl.String,
            "title": pl.String,
            "text": pl.String,
            "category": pl.String,
            "price": pl.Float64,
        },
    )


def _item(product: dict[str, str | None]) -> dict[str, object]:
    """Describe a product: `Hamburger buns, 12 oz, store brand`.

    A name of one word that says little by itself has its category beside it: `Lean (beef)`.
    """
    category = readable_name(product["product_category"] or product["department"] or "")
    name = readable_name(product["product_type"] or "") or category
    size = product["package_size"] or ""
    shown_size = readable_size(size)
    if product["department"] == "PRODUCE" and _CRATE.fullmatch(shown_size):
        size = shown_size = ""
    is_clear = " " in name or not category or name[:4] in category
    of_store = "store brand" if product["brand"] == _STORE_BRAND else ""
    title = ", ".join(filter(None, [name if is_clear else f"{name} ({category})", shown_size, of_store]))
    department = readable_name(product["department"] or "")
    return {
        "item_id": product["item_id"],
        "title": title[:1].upper() + title[1:],
        "text": ". ".join(dict.fromkeys(filter(None, [title, category, department, size.lower()]))),
        "category": category[:1].upper() + category[1:] if product["product_category"] else None,
        "price": product["price"],
    }
