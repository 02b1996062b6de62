"""Whether an item may be recommended: as shops write it, by which column, and what is made of what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from training.base.errors import ColumnMissing
from training.data.column_mapping import ColumnMapping, parse_columns
from training.data.columns import column_lines
from training.data.meaning.availability import availability_columns, is_available
from training.data.options import ReadingOptions
from training.data.read import read_shop
from training.data.shop import Shop

YES = [
    "yes",
    "Y",
    "TRUE",
    "t",
    "1",
    "1.0",
    "17",
    "on",
    "In Stock",
    "in-stock",
    "in_stock",
    "InStock",
    "preorder",
    "12 pcs",
    "1,5",
    "3 left",
    "oui",
]
NO = [
    "no",
    "N",
    "False",
    "f",
    "0",
    "0.0",
    "-3",
    "off",
    "out of stock",
    "OutOfStock",
    "sold out",
    "Discontinued",
    "temporarily out of stock",
    "currently unavailable",
    "not in stock",
    "no stock",
    "Not for sale",
    "0 units",
    "0,0",
    "sold",
    "retired",
    "nein",
    "https://schema.org/OutOfStock/",
]
SCHEMA_ORG = {
    "BackOrder": True,
    "Discontinued": False,
    "InStock": True,
    "InStoreOnly": True,
    "LimitedAvailability": True,
    "MadeToOrder": True,
    "OnlineOnly": True,
    "OutOfStock": False,
    "PreOrder": True,
    "PreSale": True,
    "Reserved": False,
    "SoldOut": False,
}


def said(*cells: str | None) -> list[bool | None]:
    return pl.DataFrame({"a": cells}, schema={"a": pl.String}).select(is_available("a"))["a"].to_list()


def read(folder: Path, mapping: ColumnMapping | None = None, **columns: Sequence[object]) -> Shop:
    """A shop of items a, b, … with these further columns in its item table."""
    n_items = len(next(iter(columns.values())))
    items = pl.DataFrame({"item_id": list("abcdef")[:n_items], **columns}, strict=False)
    items.write_parquet(folder / "items.parquet")
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "time": [1_700_000_000]})
    events.write_parquet(folder / "events.parquet")
    options = ReadingOptions(mapping or ColumnMapping())
    return read_shop(folder / "events.parquet", options=options, items=folder / "items.parquet")


def available(shop: Shop) -> list[bool]:
    return shop.items["available"].to_list()


def test_common_words_and_numbers_are_read() -> None:
    assert said(*YES) == [True] * len(YES)
    assert said(*NO) == [False] * len(NO)


@pytest.mark.parametrize(
    "prefix", ["", "https://schema.org/", "http://schema.org/", "schema:", "https://www.schema.org/"]
)
def test_the_words_of_schema_org_are_read(prefix: str) -> None:
    assert said(*(prefix + word for word in SCHEMA_ORG)) == list(SCHEMA_ORG.values())


def test_what_says_nothing_or_something_else_is_neither() -> None:
    assert said(None, "", "  ", "maybe", "NaN") == [None] * 5


@pytest.mark.parametrize(
    "name", ["available", "is_available", "In Stock", "in-stock", "AVAILABILITY", "stock_status", "active"]
)
def test_a_column_is_found_by_its_usual_names(tmp_path: Path, name: str) -> None:
    shop = read(tmp_path, None, **{name: ["yes", "no", None]})
    assert available(shop) == [True, False, True]
    assert f"{name} (available)" in column_lines(shop.columns)[-1]


def test_of_several_such_columns_all_must_say_yes(tmp_path: Path) -> None:
    assert availability_columns(["active", "In-Stock", "sku"]) == ("active", "In-Stock")
    shop = read(tmp_path, active=["no", "yes", "yes"], in_stock=["yes", "yes", "no"])
    assert available(shop) == [False, True, False]
    assert column_lines(shop.columns)[-1].endswith("active (available), in_stock (available)")


def test_columns_can_be_named_and_must_all_say_yes(tmp_path: Path) -> None:
    mapping = parse_columns("item_available=lager+sichtbar")
    shop = read(tmp_path, mapping, lager=[3, 0, 2, None], sichtbar=[True, True, False, True])
    assert available(shop) == [True, False, False, True]


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match="'lager'"):
        read(tmp_path, parse_columns("item_available=lager"), available=["yes"])


def test_an_unreadable_value_is_counted_and_taken_as_available(tmp_path: Path) -> None:
    shop = read(tmp_path, available=["perhaps", "no", "", "soon"])
    assert available(shop) == [True, False, True, True]
    assert shop.dropped.notes["availability in available that cannot be read, taken as available"] == 2


def test_booleans_and_numbers_of_a_file_are_read(tmp_path: Path) -> None:
    assert available(read(tmp_path, in_stock=[True, False])) == [True, False]
    assert available(read(tmp_path, in_stock=[4, 0])) == [True, False]


def test_without_such_a_column_everything_is_available(tmp_path: Path) -> None:
    assert available(read(tmp_path, colour=["red", "blue"])) == [True, True]


def test_an_item_without_a_row_is_unlisted_where_there_is_an_item_table(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("user_id,item_id,time\nu,a,1700000000\nu,ghost,1700000001\n")
    (tmp_path / "items.csv").write_text("item_id,title\na,Vase\n")
    with_table = read_shop(orders, items=tmp_path / "items.csv")
    assert dict(with_table.items.select("item_id", "is_listed").iter_rows()) == {"a": True, "ghost": False}
    assert with_table.recommendable(unlisted_too=False).to_list() == [True, False]
    assert with_table.recommendable(unlisted_too=True).to_list() == [True, True]
    assert read_shop(orders).recommendable(unlisted_too=False).to_list() == [True, True]
